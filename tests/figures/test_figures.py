from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from gan_pipelines.figures import make_class_grid, make_image_grid, plot_losses

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "discriminator_loss": [1.0, 0.5, 0.25],
        "generator_loss": [0.1, 0.2, 0.4],
        "real_accuracy": [0.5, 0.6, 0.7],
        "fake_accuracy": [0.4, 0.5, 0.6],
        "penalty": [0.3, 0.2, 0.1],
    }
)


def test_curves_show_the_columns_they_are_named_after():
    figure = plot_losses(HISTORY)
    lines = {line.get_label(): list(line.get_ydata()) for axes in figure.axes for line in axes.lines}
    assert lines == {column.replace("_", " "): HISTORY[column].tolist() for column in HISTORY.columns.drop("epoch")}


def test_without_a_penalty_there_is_no_panel_for_it():
    assert len(plot_losses(HISTORY).axes) == 3
    assert len(plot_losses(HISTORY.drop(columns="penalty")).axes) == 2


def test_an_auxiliary_classifier_has_its_curves():
    figure = plot_losses(HISTORY.assign(class_loss=[3.0, 2.0, 1.0], class_accuracy=[0.1, 0.2, 0.3]))
    assert [axes.get_title() for axes in figure.axes][1:3] == ["Discriminator's accuracy", "Class loss"]
    assert [line.get_label() for line in figure.axes[1].lines][2] == "class accuracy"


def test_a_grid_goes_row_by_row():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(-1, 1, 4, 4) * 40
    grid = make_image_grid(images, columns=3)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    assert grid.dtype == np.uint8
    centres = grid[4::6, 4::6, 0]
    assert centres.tolist() == [[0, 40, 80], [120, 160, 200]]


def shades(first, count):
    return torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


def test_a_grid_of_classes_has_a_row_for_each():
    grid = make_class_grid({"one": shades(0, 20), "two": shades(100, 20)})
    centres = grid[4::6, 4::6, 0]
    assert centres.tolist() == [list(range(16)), list(range(100, 116))]


def test_a_grid_without_classes_is_filled_row_by_row():
    centres = make_class_grid({None: shades(0, 40)})[4::6, 4::6, 0]
    assert centres.shape == (3, 16)
    assert centres[1, 0] == 16

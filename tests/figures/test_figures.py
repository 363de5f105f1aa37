from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from gan_pipelines.figures import make_image_grid, plot_losses

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
    assert len(plot_losses(HISTORY.assign(penalty=0.0)).axes) == 2


def test_a_grid_goes_row_by_row():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(-1, 1, 4, 4) * 40
    grid = make_image_grid(images, columns=3)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    assert grid.dtype == np.uint8
    centres = grid[4::6, 4::6, 0]
    assert centres.tolist() == [[0, 40, 80], [120, 160, 200]]

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from gan_pipelines.figures import (
    make_class_grid,
    make_image_grid,
    make_neighbour_grid,
    plot_arm_curves,
    plot_arms,
    plot_losses,
    plot_scores_by_epoch,
)

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


def test_each_curve_shows_the_column_in_its_label():
    figure = plot_losses(HISTORY)
    lines = {line.get_label(): list(line.get_ydata()) for axes in figure.axes for line in axes.lines}
    assert lines == {column.replace("_", " "): HISTORY[column].tolist() for column in HISTORY.columns.drop("epoch")}


def test_without_a_penalty_there_is_no_panel_for_it():
    assert len(plot_losses(HISTORY).axes) == 3
    assert len(plot_losses(HISTORY.drop(columns="penalty")).axes) == 2


def test_the_probability_of_transforms_is_plotted():
    figure = plot_losses(HISTORY.assign(transform_probability=[0.1, 0.2, 0.3]))
    assert figure.axes[3].get_title() == "Probability of differentiable transforms"


def test_class_loss_and_accuracy_are_plotted():
    figure = plot_losses(HISTORY.assign(class_loss=[3.0, 2.0, 1.0], class_accuracy=[0.1, 0.2, 0.3]))
    assert [axes.get_title() for axes in figure.axes][1:3] == ["Discriminator's accuracy", "Class loss"]
    assert [line.get_label() for line in figure.axes[1].lines][2] == "class accuracy"


SCORED = HISTORY.assign(fid_5k=[np.nan, 30.0, 20.0], is_5k=[np.nan, 4.0, 5.0])


def test_scores_have_their_own_panels_with_the_scored_epochs_only():
    *_, fid, inception_score = plot_losses(SCORED).axes
    assert (fid.get_title(), inception_score.get_title()) == ("FID", "Inception Score")
    (line,) = fid.lines
    assert (line.get_label(), list(line.get_xdata()), list(line.get_ydata())) == ("fid 5k", [2, 3], [30, 20])


def test_variants_with_equal_numbers_of_samples_share_a_panel():
    other = HISTORY.assign(fid_1k=[9.0, 8.0, 7.0])
    figure = plot_scores_by_epoch({"dcgan": [SCORED], "wgan": [SCORED], "sagan": [other], "unscored": [HISTORY]})
    assert {axes.get_title(): [line.get_label() for line in axes.lines] for axes in figure.axes} == {
        "FID, 5k samples": ["dcgan", "wgan"],
        "FID, 1k samples": ["sagan"],
        "Inception Score, 5k samples": ["dcgan", "wgan"],
    }


def test_without_scores_the_figure_says_so():
    (text,) = plot_scores_by_epoch({"dcgan": [HISTORY]}).texts
    assert text.get_text() == "nothing was measured"


def test_seeds_of_a_variant_share_a_colour_and_a_label():
    (axes, _) = plot_scores_by_epoch({"dcgan": [SCORED, SCORED], "wgan": [SCORED]}).axes
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == colours[1] != colours[2]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dcgan", "wgan"]


def test_a_grid_is_filled_row_by_row():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(-1, 1, 4, 4) * 40
    grid = make_image_grid(images, columns=3)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    assert grid.dtype == np.uint8
    centres = grid[4::6, 4::6, 0]
    assert centres.tolist() == [[0, 40, 80], [120, 160, 200]]


def shades(first, count):
    return torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


def test_a_grid_of_classes_has_a_row_for_each_class():
    grid = make_class_grid({"one": shades(0, 20), "two": shades(100, 20)})
    centres = grid[4::6, 4::6, 0]
    assert centres.tolist() == [list(range(16)), list(range(100, 116))]


def test_a_grid_without_classes_is_filled_row_by_row():
    centres = make_class_grid({None: shades(0, 40)})[4::6, 4::6, 0]
    assert centres.shape == (3, 16)
    assert centres[1, 0] == 16


def test_neighbours_are_in_the_row_of_their_query():
    grid = make_neighbour_grid([(shades(7, 1)[0], shades(10, 3)), (shades(9, 1)[0], shades(20, 3))])
    assert grid[4::6, 4::6, 0].tolist() == [[7, 10, 11, 12], [9, 20, 21, 22]]


def test_arm_scores_and_differences_are_plotted_at_their_values():
    scores = pd.DataFrame(
        {
            "fraction": [0.1] * 5,
            "arm": ["real", "real", "added_1x", "added_1x", "real"],
            "accuracy": [0.8, 0.9, 0.7, 0.8, 0.1],
            "is_main": [True, True, True, True, False],
        }
    )
    comparisons = pd.DataFrame(
        {
            "fraction": [0.1] * 2,
            "arm": ["added_1x"] * 2,
            "baseline": ["real"] * 2,
            "is_primary": [True] * 2,
            "verdict": ["hurts", "helps"],
            "difference": [-0.1, 0.1],
            "interval_low": [-0.15, 0.05],
            "interval_high": [-0.05, 0.15],
            "is_main": [True, False],
        }
    )
    accuracies, differences = plot_arms(scores, comparisons).axes
    points, means = (collection.get_offsets().tolist() for collection in accuracies.collections)
    assert np.allclose(points, [[80, 0], [90, 0], [70, 1], [80, 1]])
    assert np.allclose(means, [[85, 0], [75, 1]])
    assert [label.get_text() for label in accuracies.get_yticklabels()] == ["real", "added 1x"]
    interval, middle, _ = differences.lines
    assert np.allclose(interval.get_xdata(), [-15, -5])
    assert np.allclose(middle.get_xdata(), -10)
    assert (interval.get_color(), middle.get_marker()) == ("tab:red", "D")


def test_arm_curves_are_means_with_bands_from_the_lowest_to_the_highest_fit():
    rows = [
        {"fraction": fraction, "arm": arm, "seed": seed, "epoch": epoch, "train_loss": seed + epoch + 1.0,
         "valid_loss": 1.0, "valid_accuracy": 0.5}
        for fraction in (0.1, 1.0) for arm in ("real", "added_1x") for seed in (0, 2) for epoch in (1, 2)
    ]  # fmt: skip
    figure = plot_arm_curves(pd.DataFrame(rows))
    assert len(figure.axes) == 6
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {"real", "added 1x"}
    assert lines["real"].get_ydata().tolist() == [3.0, 4.0]
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (2.0, 5.0)
    tested = plot_arm_curves(pd.DataFrame(rows).assign(test_loss=2.0, test_accuracy=0.25))
    titles = [axes.get_title() for axes in tested.axes[3:5]]
    assert titles == ["Loss on the test split", "Accuracy on the test split"]
    assert [axes.lines[0].get_ydata()[0] for axes in tested.axes[3:5]] == [2.0, 0.25]

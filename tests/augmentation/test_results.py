from __future__ import annotations

import numpy as np
import pytest

from gan_pipelines.augmentation import (
    ArmFit,
    AugmentationConfig,
    list_arms,
    state_verdicts,
    tabulate_comparisons,
    tabulate_fits,
    tabulate_histories,
)
from gan_pipelines.classifier import PredictionScores

CONFIG = AugmentationConfig(fractions=(0.1, 1.0), replicates=3, ratios=(1.0, 3.0), seed=5)
IMAGES = 200


def fit(fraction, seed, arm, accuracy, valid_accuracy):
    random = np.random.default_rng([seed, int(fraction * 10)])  # the same images are hard in every arm
    correct = random.permutation(IMAGES) < accuracy * IMAGES
    scores = PredictionScores(float(correct.mean()), accuracy - 0.01, 0.05 + seed / 1000, [accuracy, 0.5])
    history = [{"epoch": n, "train_loss": 1 / n, "valid_loss": 1.0, "valid_accuracy": 0.5} for n in (1, 2)]
    return ArmFit(fraction, seed, arm, 100, 300, 40, 1.5, 2, valid_accuracy, scores, correct, history)


@pytest.fixture
def fits():
    """The larger ratio is better by validation, the smaller by test, at 10 %; at 100 % all are alike."""
    by_arm = {arm.name: (0.8, 0.8) for arm in list_arms(CONFIG)}
    tenth = by_arm | {"added_1x": (0.9, 0.81), "added_3x": (0.7, 0.85), "transformed": (0.85, 0.99)}
    return [
        fit(fraction, seed, arm, *accuracies)
        for fraction, arms in ((0.1, tenth), (1.0, by_arm))
        for seed in (5, 6, 7)
        for arm, accuracies in arms.items()
    ]


def test_every_classifier_has_a_row(fits):
    table = tabulate_fits(fits, ("cat", "dog"))
    assert len(table) == 2 * 3 * 7
    row = table[(table["fraction"] == 0.1) & (table["seed"] == 6) & (table["arm"] == "added_1x")].iloc[0]
    assert row["accuracy"] == row["accuracy_cat"] == 0.9
    assert (row["macro_f1"], row["accuracy_dog"]) == (pytest.approx(0.89), 0.5)
    assert (row["real_images"], row["synthetic_images"], row["steps"]) == (100, 300, 40)
    histories = tabulate_histories(fits)
    assert len(histories) == 2 * len(table)
    assert histories.iloc[1][["fraction", "seed", "arm", "epoch", "train_loss"]].tolist() == [0.1, 5, "real", 2, 0.5]


def test_differences_are_paired_and_the_verdict_is_that_of_the_ratio_that_validation_chose(fits):
    table = tabulate_comparisons(fits, CONFIG).set_index(["fraction", "arm"])
    assert table.loc[(0.1, "added_1x"), "difference"] == pytest.approx(0.1)
    assert table.loc[(0.1, "added_3x"), "difference"] == pytest.approx(-0.1)
    assert table.loc[(0.1, "transformed_added_3x"), "difference"] == pytest.approx(-0.05)
    assert table.loc[(0.1, "transformed_added_3x"), "baseline"] == "transformed"
    assert table.loc[(0.1, "added_3x"), "verdict"] == "hurts"
    assert table.loc[(0.1, "added_1x"), "verdict"] == "helps"
    assert table.loc[(0.1, "added_3x"), "macro_f1_difference"] == pytest.approx(-0.1)
    assert table.loc[(0.1, "added_3x"), "calibration_error_difference"] == pytest.approx(0)
    assert table[table["is_primary"]].index.tolist() == [(0.1, "added_3x"), (1.0, "added_1x")]
    assert table.loc[(1.0, "added_1x"), "verdict"] == "no difference shown"


def test_the_verdict_in_words(fits):
    tenth, everything = state_verdicts(fits, tabulate_comparisons(fits, CONFIG), CONFIG)
    assert (tenth["fraction"], tenth["verdict"]) == (0.1, "hurts")
    assert tenth["sentence"].startswith(
        "10% of the real images (100): hurts. With 300 generated ones added (added_3x, chosen on the validation "
        "split), accuracy changes by -10.0 points against the real ones alone for as many steps (95% interval "
    )
    assert "3 replicates, 200 test images" in tenth["sentence"]
    assert everything["sentence"].startswith("100% of the real images (100): no difference shown.")
    assert "to see one point it would take 2 replicates." in everything["sentence"]

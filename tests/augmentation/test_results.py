from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gan_pipelines.augmentation import (
    ArmFit,
    AugmentationConfig,
    list_arms,
    state_verdicts,
    tabulate_class_comparisons,
    tabulate_comparisons,
    tabulate_fits,
    tabulate_histories,
)
from gan_pipelines.augmentation.config import ArmClassifierConfig, SyntheticConfig
from gan_pipelines.augmentation.rates import own_rates
from gan_pipelines.augmentation.simple_classifiers import PROBE
from gan_pipelines.augmentation.synthesis import Selection
from gan_pipelines.classifier import PredictionScores
from gan_pipelines.core.findings import name_fraction
from gan_pipelines.gan.config import TransformConfig

CONFIG = AugmentationConfig(
    fractions=(0.1, 1.0),
    replicates=3,
    ratios=(1.0, 3.0),
    transforms=TransformConfig(crop_padding=1),
    classifier=ArmClassifierConfig(learning_rates=(0.02,)),
    seed=5,
)
TENTH = replace(CONFIG, fractions=(0.1,))
IMAGES = 200
SIMPLE = pd.DataFrame(
    {
        "fraction": [0.1, 0.1, 0.1, 1.0],
        "seed": [5, 6, 5, 5],
        "classifier": ["SVM", "SVM", "1-NN", "SVM"],
        "images": 100,
        "accuracy": [0.93, 0.94, 0.91, 0.99],
    }
)


def fit(fraction, seed, arm, accuracy, valid_accuracy, rate=0.02, valid_loss=None):
    diversity = 0.9 if "added" in arm else None
    random = np.random.default_rng([seed, int(fraction * 10)])  # the same images are hard in every arm
    correct = random.permutation(IMAGES) < accuracy * IMAGES
    dogs = accuracy - (0.02 * seed if arm == "added_1x" else 0)
    scores = PredictionScores(float(correct.mean()), accuracy - 0.01, 0.05 + seed / 1000, 0.7, [accuracy, dogs])
    losses = (0.0, 1 - valid_accuracy if valid_loss is None else valid_loss)  # the second epoch is the best
    history = [
        {"epoch": n, "train_loss": 1 / n, "valid_loss": loss, "valid_accuracy": 0.5} for n, loss in enumerate(losses, 1)
    ]
    return ArmFit(
        fraction=fraction,
        seed=seed,
        arm=arm,
        learning_rate=rate,
        real_images=100,
        valid_images=20 + seed,
        synthetic_images=300,
        synthetic_diversity=diversity,
        selection=None if diversity is None else Selection(1000 + seed, 900, 800 + seed),
        steps=40,
        seconds=1.5,
        best_epoch=2,
        valid_accuracy=valid_accuracy,
        scores=scores,
        correct=correct,
        history=history,
    )


def fit_all(by_arm, fraction=0.1, rate=0.02):
    """Three replicates of arms with these accuracies on the test and the validation split; others have 0.8."""
    accuracies = {arm.name: (0.8, 0.8) for arm in list_arms(CONFIG)} | by_arm
    return [fit(fraction, seed, arm, *both, rate) for seed in (5, 6, 7) for arm, both in accuracies.items()]


@pytest.fixture
def fits():
    """The larger ratio is better by validation, the smaller by test, at 10 %; at 100 % all are alike."""
    tenth = {"added_1x": (0.9, 0.81), "added_3x": (0.7, 0.85), "transformed": (0.85, 0.99)}
    return fit_all(tenth) + fit_all({}, fraction=1.0)


def test_every_classifier_has_a_row(fits):
    table = tabulate_fits(fits, ("cat", "dog"))
    assert len(table) == 2 * 3 * 7
    row = table[(table["fraction"] == 0.1) & (table["seed"] == 6) & (table["arm"] == "added_1x")].iloc[0]
    assert row["accuracy"] == row["accuracy_cat"] == 0.9
    assert (row["macro_f1"], row["accuracy_dog"]) == pytest.approx((0.89, 0.78))
    counts = ("real_images", "valid_images", "synthetic_images", "steps")
    assert [row[name] for name in counts] == [100, 26, 300, 40]
    assert (row["learning_rate"], row["is_main"]) == (0.02, True)
    assert row[[*Selection._fields]].tolist() == [1006, 900, 806]
    assert table.loc[table["arm"] == "real", [*Selection._fields]].isna().all(axis=None)
    assert table.groupby("arm")["synthetic_diversity"].min().to_dict() == pytest.approx(
        {arm.name: 0.9 if arm.has_both else np.nan for arm in list_arms(CONFIG)}, nan_ok=True
    )
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
    assert table[table["is_primary"]].index.tolist() == [
        (0.1, "added_3x"), (0.1, "transformed_added_3x"), (1.0, "added_1x"), (1.0, "transformed_added_3x"),
    ]  # fmt: skip
    assert table.loc[(1.0, "added_1x"), "verdict"] == "no difference shown"


@pytest.mark.parametrize("ratios", [(1.0, 3.0), (3.0, 1.0)])
def test_of_two_ratios_with_the_same_accuracy_on_the_validation_split_the_loss_there_chooses(ratios):
    config = replace(TENTH, ratios=ratios)
    fits = [
        fit(0.1, seed, arm.name, 0.8, 0.8, valid_loss=0.4 if arm.name == "added_3x" else 0.5)
        for seed in (5, 6, 7)
        for arm in list_arms(config)
    ]
    table = tabulate_comparisons(fits, config)
    assert "added_3x" in table[table["is_primary"]]["arm"].tolist()
    assert "added_1x" not in table[table["is_primary"]]["arm"].tolist()


def test_recalls_are_compared_class_by_class(fits):
    table = tabulate_class_comparisons(fits, CONFIG, ("cat", "dog")).set_index(["fraction", "arm", "class"])
    assert len(table) == 2 * 6 * 2
    cat, dog = (table.loc[(0.1, "added_1x", name)] for name in ("cat", "dog"))
    assert (cat["recall"], cat["baseline_recall"], cat["recall_difference"]) == pytest.approx((0.9, 0.8, 0.1))
    assert cat["baseline"] == "real_longer"
    differences = 0.1 - 0.02 * np.array([5, 6, 7])
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert dog["recall_difference"] == pytest.approx(differences.mean())
    assert (dog["recall_low"], dog["recall_high"]) == pytest.approx(expected)


def differing(fraction, *differences):
    """Fits in which synthetic images change the accuracy by another amount in each replicate."""
    return [
        fit(fraction, replicate, arm, 0.8 + (difference if arm.startswith("added") else 0), 0.8)
        for replicate, difference in zip((5, 6, 7), differences, strict=True)
        for arm in (arm.name for arm in list_arms(CONFIG))
    ]


def test_primary_verdicts_are_corrected_over_the_fractions():
    fits = differing(0.1, 0.03, 0.05, 0.06) + differing(1.0, 0.0, 0.01, -0.01)
    alone = tabulate_comparisons(fits, TENTH).set_index("arm")
    table = tabulate_comparisons(fits, CONFIG).set_index(["fraction", "arm"])
    p_value = alone.loc["added_1x", "p_value"]
    assert 0.025 < p_value < 0.05
    assert (alone.loc["added_1x", "corrected_p_value"], alone.loc["added_1x", "verdict"]) == (p_value, "helps")
    row = table.loc[(0.1, "added_1x")]
    assert row["corrected_p_value"] == pytest.approx(2 * p_value)
    assert row["verdict"] == "no difference shown"
    assert row["interval_low"] == alone.loc["added_1x", "interval_low"] > 0
    other = table.loc[(0.1, "added_3x")]  # not the primary one
    assert np.isnan(other["corrected_p_value"])
    assert other["verdict"] == "helps"


TWO_RATES = replace(TENTH, classifier=ArmClassifierConfig(learning_rates=(0.02, 0.1)))


@pytest.fixture
def fits_of_two_rates():
    """Real images alone are better at 0.02 by validation and at 0.1 by test; those with synthetic ones at 0.1."""
    slow = {"real_longer": (0.7, 0.9), "added_1x": (0.6, 0.7), "added_3x": (0.5, 0.5), "real": (0.6, 0.5)}
    fast = {"real_longer": (0.8, 0.6), "added_1x": (0.5, 0.6), "added_3x": (0.9, 0.8), "real": (0.7, 0.7)}
    return fit_all(slow) + fit_all(fast, rate=0.1)


def test_the_rate_of_all_arms_is_that_of_the_real_images_alone_by_validation(fits_of_two_rates):
    scores = tabulate_fits(fits_of_two_rates, ("cat", "dog"))
    assert {*scores.loc[scores["is_main"], "learning_rate"]} == {0.02}
    assert len(scores) == 2 * scores["is_main"].sum() == 2 * 3 * 7
    assert len(tabulate_histories(fits_of_two_rates)) == 2 * scores["is_main"].sum()
    table = tabulate_comparisons(fits_of_two_rates, TWO_RATES)
    main = table[table["is_main"]].set_index("arm")
    assert {*main["learning_rate"], *main["baseline_learning_rate"]} == {0.02}
    assert main.loc["added_1x", "difference"] == pytest.approx(-0.1)
    assert main.index[main["is_primary"]].tolist() == ["added_1x", "transformed_added_3x"]


def test_among_rates_of_equal_validation_accuracy_the_loss_decides():
    losses = {0.02: 0.6, 0.1: 0.4, 0.3: np.inf}
    fits = [fit(0.1, seed, "real_longer", 0.8, 0.9, *pair) for seed in (5, 6, 7) for pair in losses.items()]
    assert own_rates(fits) == {(0.1, "real_longer"): 0.1}


def test_in_the_second_analysis_every_arm_has_its_own_best_rate(fits_of_two_rates):
    table = tabulate_comparisons(fits_of_two_rates, TWO_RATES)
    own = table[~table["is_main"]].set_index("arm")
    assert len(own) == 6
    assert own.loc["added_3x", ["learning_rate", "baseline_learning_rate"]].tolist() == [0.1, 0.02]
    assert own.loc["added_3x", "difference"] == pytest.approx(0.2)
    assert own.loc["real_longer", ["learning_rate", "baseline_learning_rate"]].tolist() == [0.02, 0.1]
    assert own.index[own["is_primary"]].tolist() == ["added_3x", "transformed_added_3x"]


def test_the_verdicts_in_words(fits):
    verdicts = state_verdicts(fits, tabulate_comparisons(fits, TENTH), SIMPLE, TENTH)
    assert [(verdict["baseline"], verdict["verdict"]) for verdict in verdicts] == [
        ("real_longer", "hurts"), ("transformed", "hurts"),
    ]  # fmt: skip
    plain, transformed = (verdict["sentence"] for verdict in verdicts)
    assert plain.startswith(
        "10% of the real images (100): hurts. With 300 generated ones added (added_3x, chosen on the validation "
        "split), accuracy changes by -10.0 points against the real ones alone for as many steps (95% interval "
    )
    assert "3 replicates, 25 to 27 validation and 200 test images), and macro-F1 by -10.0. A difference of" in plain
    assert plain.endswith(" Simple classifiers on the same images: SVM 93.5%, 1-NN 91.0%; real_longer 80.0%.")
    assert transformed.startswith(
        "10% of the real images (100), with transforms: hurts. With 300 generated ones added (transformed_added_3x), "
        "accuracy changes by -5.0 points against transforms of the real ones alone for as many steps (95% interval "
    )
    assert transformed.endswith(" 1-NN 91.0%; transformed 85.0%.")


def test_without_transforms_there_is_one_verdict(fits):
    plain = replace(TENTH, transforms=TransformConfig())
    arms = [arm.name for arm in list_arms(plain)]
    assert arms == ["real", "real_longer", "added_1x", "added_3x", "synthetic_only"]
    some = [fit for fit in fits if fit.arm in arms]
    (verdict,) = state_verdicts(some, tabulate_comparisons(some, plain), SIMPLE, plain)
    assert verdict["baseline"] == "real_longer"
    assert "transform" not in verdict["sentence"]


def test_a_verdict_on_generated_images_that_look_alike_says_so(fits):
    comparisons = tabulate_comparisons(fits, TENTH)
    collapsed = [
        replace(fit, synthetic_diversity=fit.synthetic_diversity and {5: 0.03, 6: 0.3, 7: 0.9}[fit.seed])
        for fit in fits
    ]
    careful = (
        "Careful: in 2 of 3 replicates most generated images look alike (the lowest diversity is 3% of that of real "
        "images); the generator has collapsed, or was trained for too few steps."
    )
    for verdict in state_verdicts(collapsed, comparisons, SIMPLE, TENTH):
        assert careful in verdict["sentence"]
    assert not any("Careful" in verdict["sentence"] for verdict in state_verdicts(fits, comparisons, SIMPLE, TENTH))


def test_the_verdict_on_several_fractions_says_that_it_is_corrected_and_that_the_interval_is_not(fits):
    verdicts = state_verdicts(fits, tabulate_comparisons(fits, CONFIG), SIMPLE, CONFIG)
    assert [verdict["fraction"] for verdict in verdicts] == [0.1, 0.1, 1.0, 1.0]
    tenth, _, everything, _ = (verdict["sentence"] for verdict in verdicts)
    assert tenth.startswith("10% of the real images (100): hurts, corrected for 2 fractions (Holm). ")
    assert "(uncorrected 95% interval " in tenth
    assert "Without the correction, a difference of " in tenth
    assert "to see one point it would take 40 replicates." in tenth
    assert everything.startswith("100% of the real images (100): no difference shown, corrected for 2 ")
    unknown = "All test images have the same difference in all replicates: what these would have shown cannot be told."
    assert unknown in everything


def test_a_fraction_is_not_rounded_to_whole_percents():
    assert [name_fraction(each).split()[0] for each in (0.005, 0.025, 0.07, 0.1, 1)] == [
        "0.5%",
        "2.5%",
        "7%",
        "10%",
        "100%",
    ]


def test_the_second_analysis_is_a_sentence_of_the_verdict(fits_of_two_rates):
    comparisons = tabulate_comparisons(fits_of_two_rates, TWO_RATES)
    sentence = state_verdicts(fits_of_two_rates, comparisons, SIMPLE, TWO_RATES)[0]["sentence"]
    assert "(added_1x, chosen on the validation split; learning rate 0.02, the best of real_longer there)" in sentence
    assert (
        " With the learning rate that is best for each arm on the validation split: helps (added_3x: +20.0 points, "
    ) in sentence
    assert sentence.endswith("real_longer 70.0%.")


def test_the_linear_probe_stands_beside_the_verdict(fits):
    probe = pd.DataFrame([{"fraction": 0.1, "seed": 5, "classifier": PROBE, "images": 100, "accuracy": 0.96}])
    sentence = state_verdicts(fits, tabulate_comparisons(fits, TENTH), pd.concat([SIMPLE, probe]), TENTH)[0]["sentence"]
    assert sentence.endswith("1-NN 91.0%, linear probe of ImageNet features 96.0%; real_longer 80.0%.")


def test_simple_classifiers_of_fewer_images_are_said_to_be(fits):
    capped = SIMPLE.assign(images=90)
    sentence = state_verdicts(fits, tabulate_comparisons(fits, TENTH), capped, TENTH)[0]["sentence"]
    assert "Simple classifiers on 90 of the same images: " in sentence


def test_a_verdict_says_what_filters_have_kept(fits):
    filtered = replace(TENTH, synthetic=SyntheticConfig(min_confidence=0.5))
    comparisons = tabulate_comparisons(fits, filtered)
    kept = "Of 1,005 to 1,007 images that were offered for each replicate, the filters kept 805 to 807."
    assert all(kept in each["sentence"] for each in state_verdicts(fits, comparisons, SIMPLE, filtered))
    assert not any("filters" in each["sentence"] for each in state_verdicts(fits, comparisons, SIMPLE, TENTH))
    earlier = [replace(fit, selection=None) for fit in fits]
    assert not any("filters" in each["sentence"] for each in state_verdicts(earlier, comparisons, SIMPLE, filtered))


def test_a_verdict_on_pictures_made_elsewhere_says_what_is_known_of_leaks(fits):
    near_copies = {
        "name": "sd_turbo",
        "pictures": 5000,
        "left_out": 1012,
        "left_out_share": 0.2024,
        "real_left_out_share": 0.1,
        "train_share": 0.3505,
        "train_copies": 1001,
    }
    verdicts = state_verdicts(fits, tabulate_comparisons(fits, TENTH), SIMPLE, TENTH, near_copies)
    for verdict in verdicts:
        assert verdict["sentence"].endswith(
            "Of the 5,000 pictures of sd_turbo, 1,012 (20.2%) are duplicates or near-duplicates of test or validation "
            "images, and were left out, as were 10.0% of the real training images. Of the other 3,988, 35.0% are "
            "duplicates or near-duplicates of training images; 1,001 are equal to one in every pixel. Whether the "
            "generator of these pictures was trained on the test images is not known; if it was, they may help more "
            "here than on new images. If it was trained on more of the real images than the classifiers have here, "
            "they may stand for those that are withheld; augmentation.fractions: [1] withholds none."
        )

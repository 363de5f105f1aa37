"""Planted truths: what helps must be found to help, and what hurts to hurt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gan_pipelines.augmentation import (
    AugmentationConfig,
    GeneratorSource,
    Replicate,
    arms,
    draw_images,
    list_arms,
    list_contrasts,
    list_fits,
    make_synthetic_set,
    results,
    separate_images,
    tabulate_comparisons,
)
from gan_pipelines.augmentation.config import ArmClassifierConfig, SyntheticConfig
from gan_pipelines.augmentation.synthetic_sets import hash_synthetic_set
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.execution import ExecutionConfig
from gan_pipelines.gan.config import TransformConfig
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails
from planted_truths import PlantedGenerator, held_back, list_all_fits, measure, noise, wrong_labels

CLASSIFIER = ArmClassifierConfig(epochs=8, batch_size=16, learning_rates=(0.03,))
CONFIG = AugmentationConfig(
    fractions=(0.05,),
    replicates=4,
    ratios=(4.0,),
    transforms=TransformConfig(crop_padding=1),
    classifier=CLASSIFIER,
)
NAMES = tuple("0123456789")


@pytest.fixture(scope="module")
def digit_images():
    """Handwritten digits at 16x16: 700 train, 300 test, 100 valid."""
    bunch = load_digits()
    images = (np.kron(bunch.images[:1100], np.ones((2, 2))) * 15.9).astype(np.uint8)[:, None]
    sizes = {"train": 700, "test": 300, "valid": 100}
    labels = bunch.target[:1100].astype(np.int64)
    names = tuple(map(str, range(1100)))
    return ImageSet(images, hash_images(images), labels, NAMES, sizes, "box", names, make_thumbnails(images))


@pytest.fixture(scope="module")
def digits(digit_images):
    return separate_images(digit_images)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Shared by all plants: their classifiers of real images alone are the same."""
    return KeyedStore(tmp_path_factory.mktemp("fits"))


@pytest.fixture
def _two_arms(monkeypatch):
    """Those that the first verdict compares."""
    wanted = [arm for arm in list_arms(CONFIG) if arm.name in ("added_4x", "real_longer")]
    monkeypatch.setattr(arms, "list_arms", lambda _: wanted)
    monkeypatch.setattr(results, "list_contrasts", lambda _: [(wanted[1], wanted[0])])


@pytest.mark.integration
@pytest.mark.usefixtures("_two_arms")
@pytest.mark.parametrize(
    ("plant", "verdicts", "sign"),
    [(held_back, {"helps"}, 1), (wrong_labels, {"hurts"}, -1), (noise, {"hurts", "no difference shown"}, 0)],
)
def test_planted_truths_are_found(digits, store, plant, verdicts, sign):
    (comparison,) = tabulate_comparisons(
        [fit() for fit in list_all_fits(digits, CONFIG, store, plant)], CONFIG
    ).itertuples()
    assert comparison.is_primary
    assert comparison.verdict in verdicts
    assert sign == 0 or np.sign(comparison.difference) == sign


@pytest.mark.integration
def test_the_measurement_of_planted_truths_has_all_arms_and_both_verdicts(digit_images, tmp_path):
    config = replace(CONFIG, replicates=2, classifier=replace(CLASSIFIER, epochs=1, learning_rates=(0.03, 0.1)))
    tables = measure(digit_images, config, KeyedStore(tmp_path), ExecutionConfig(engine="process"))
    scores, comparisons = tables["arm_scores"], tables["comparisons"]
    assert scores.groupby("plant", sort=False).size().to_dict() == dict.fromkeys(
        ("held_back", "wrong_labels", "noise"), 2 * 2 * len(list_arms(CONFIG))
    )
    assert (
        scores[~scores["synthetic_images"].astype(bool)]
        .groupby(["seed", "arm", "learning_rate"])["accuracy"]
        .nunique()
        .eq(1)
        .all()
    )  # of real images alone
    primary = comparisons[comparisons["is_primary"]]
    assert primary.groupby(["plant", "is_main"])["baseline"].agg(list).tolist() == [["real_longer", "transformed"]] * 6


@pytest.fixture
def replicate(digits):
    draw = draw_images(digits, CONFIG)[0]
    return Replicate(draw, GeneratorSource(PlantedGenerator(held_back(digits, draw))))


SHORT = replace(CONFIG, classifier=replace(CLASSIFIER, epochs=1), ratios=(1.0, 2.0))


def fit_all(store, digits, replicate, config):
    synthetic = make_synthetic_set(store, replicate, config, "cpu")
    return [fit() for fit in list_fits(store, digits.test, replicate, synthetic, config, "cpu")]


def test_every_arm_has_its_images_and_all_but_one_the_same_steps(digits, replicate, tmp_path):
    fits = {fit.arm: fit for fit in fit_all(KeyedStore(tmp_path), digits, replicate, replace(SHORT, test_curves=True))}
    count = len(replicate.draw.images)
    assert {name: (fit.real_images, fit.synthetic_images) for name, fit in fits.items()} == {
        "real": (count, 0),
        "real_longer": (count, 0),
        "added_1x": (count, count),
        "added_2x": (count, 2 * count),
        "synthetic_only": (0, 2 * count),
        "transformed": (count, 0),
        "transformed_added_2x": (count, 2 * count),
    }
    diversity = make_synthetic_set(KeyedStore(tmp_path), replicate, SHORT, "cpu").provenance["diversity"]
    assert diversity > 0
    assert {fit.synthetic_diversity for fit in fits.values() if fit.synthetic_images} == {diversity}
    assert {fit.synthetic_diversity for fit in fits.values() if not fit.synthetic_images} == {None}
    assert fits["real"].steps == -(-count // 16)
    assert {fit.steps for fit in fits.values()} == {fits["real"].steps, -(-3 * count // 16)}
    assert fits["real"].correct.shape == (len(digits.test),)
    assert fits["real"].scores.accuracy == fits["real"].correct.mean()
    of_best_epoch = fits["real"].history[fits["real"].best_epoch - 1]
    assert of_best_epoch["test_accuracy"] == pytest.approx(fits["real"].scores.accuracy)
    assert of_best_epoch["test_loss"] == pytest.approx(fits["real"].scores.loss, rel=1e-4)
    contrasts = [(arm.name, baseline.name) for arm, baseline in list_contrasts(SHORT)]
    assert contrasts == [
        ("real_longer", "real"),
        ("added_1x", "real_longer"),
        ("added_2x", "real_longer"),
        ("synthetic_only", "real_longer"),
        ("transformed", "real_longer"),
        ("transformed_added_2x", "transformed"),
    ]


def test_what_is_fitted_is_not_fitted_again(digits, replicate, tmp_path, monkeypatch):
    store = KeyedStore(tmp_path)
    first = fit_all(store, digits, replicate, SHORT)
    monkeypatch.setattr(arms, "fit_selected", lambda *_, **__: pytest.fail("fitted again"))
    monkeypatch.setattr(PlantedGenerator, "sample", lambda *_, **__: pytest.fail("sampled again"))
    again = fit_all(store, digits, replicate, SHORT)
    for one, other in zip(first, again, strict=True):
        assert vars(one) | {"correct": None} == vars(other) | {"correct": None}
        assert np.array_equal(one.correct, other.correct)


def keys_of(digits, replicate, config):
    key = hash_synthetic_set(replicate, config, "cpu")
    fitting = arms._ReplicateFitting(KeyedStore("nowhere"), digits.test, replicate.draw, None, key, config, "cpu")
    classifier = config.classifier.at(config.classifier.learning_rates[0], replicate.draw.seed)
    return {arm.name: fitting._key(arm, classifier) for arm in list_arms(config)}


def test_fits_of_earlier_versions_are_found(digits, replicate):
    assert keys_of(digits, replicate, SHORT) == {
        "real": "f50adaa985ad1908",
        "real_longer": "7db05360c0c5bf4a",
        "added_1x": "0574041baf39e067",
        "added_2x": "3b370b88305ffcbb",
        "synthetic_only": "c7fe7646963eb033",
        "transformed": "3445bc34ce083f41",
        "transformed_added_2x": "8ccedf39f4034d29",
    }


def test_fits_in_another_precision_are_fitted_again(digits, replicate, monkeypatch):
    keys = []
    for precision in ("fp32", "bf16"):
        monkeypatch.setattr("gan_pipelines.classifier.fitting.resolve_precision", lambda *_, it=precision: it)
        keys.append(keys_of(digits, replicate, SHORT))
    assert not {*keys[0].values()} & {*keys[1].values()}


def test_a_change_of_anything_that_matters_is_another_fit(digits, replicate):
    def keys(replicate=replicate, **changes):
        config = replace(SHORT, **changes)
        return keys_of(digits, replicate, config)

    plain = keys()
    assert len({*plain.values()}) == len(plain)

    def changed(other):
        return {name for name, key in other.items() if plain[name] != key}

    with_synthetic = {"added_1x", "added_2x", "synthetic_only", "transformed_added_2x"}
    other_weights = PlantedGenerator(None, weights={"ema": {"w": torch.ones(2)}, "raw": {"w": torch.ones(2)}})
    assert changed(keys(replicate._replace(source=GeneratorSource(other_weights)))) == with_synthetic
    assert changed(keys(synthetic=SyntheticConfig(weights="raw"))) == with_synthetic
    transformed = {"transformed", "transformed_added_2x"}
    assert changed(keys(transforms=TransformConfig(crop_padding=2))) == transformed
    assert changed(keys(classifier=replace(CLASSIFIER, epochs=2))) == {*plain}
    draw = replicate.draw
    assert changed(keys(replicate._replace(draw=draw._replace(seed=7)))) == {*plain}
    fewer = draw._replace(images=draw.images.take(np.arange(20), "train"))
    assert changed(keys(replicate._replace(draw=fewer))) == {*plain}
    fewer = draw._replace(valid=draw.valid.take(np.arange(5), "valid"))
    assert changed(keys(replicate._replace(draw=fewer))) == {*plain}
    assert changed(keys(classifier=replace(SHORT.classifier, learning_rates=(0.01,)))) == {*plain}
    assert changed(keys(test_curves=True)) == {*plain}
    assert keys(fractions=(0.1, 0.5), replicates=9) == plain
    assert keys(classifier=replace(SHORT.classifier, learning_rates=(0.03, 0.1))) == plain  # one more candidate


def test_a_further_candidate_changes_the_fits_on_images_that_a_classifier_labels(digits, replicate):
    unconditional = replicate._replace(source=GeneratorSource(PlantedGenerator(None, is_conditional=False)))
    plain, other = (
        keys_of(digits, unconditional, replace(SHORT, classifier=replace(CLASSIFIER, learning_rates=rates)))
        for rates in ((0.03,), (0.03, 0.1))
    )
    assert {name for name in plain if plain[name] != other[name]} == {
        "added_1x", "added_2x", "synthetic_only", "transformed_added_2x",
    }  # fmt: skip


def test_every_arm_is_fitted_with_every_candidate(digits, replicate, tmp_path):
    config = replace(SHORT, classifier=replace(SHORT.classifier, learning_rates=(0.03, 1e-9)))
    fits = fit_all(KeyedStore(tmp_path), digits, replicate, config)
    assert [(fit.arm, fit.learning_rate) for fit in fits] == [
        (arm.name, rate) for arm in list_arms(config) for rate in (0.03, 1e-9)
    ]
    losses = {fit.learning_rate: fit.history[0]["train_loss"] for fit in fits if fit.arm == "real_longer"}
    assert losses[0.03] < losses[1e-9]
    assert len([*tmp_path.rglob("record.json")]) == 2 * len(list_arms(config))

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from gan_pipelines.augmentation import (
    AugmentationConfig,
    GeneratorSource,
    Replicate,
    SyntheticImages,
    draw_images,
    judge,
    make_synthetic_set,
    separate_images,
    synthetic_bytes,
    synthetic_sets,
)
from gan_pipelines.augmentation.config import ArmClassifierConfig, SyntheticConfig
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan.health import NARROW_BELOW

CLASSIFIER = ArmClassifierConfig(epochs=1, batch_size=8)
CONFIG = AugmentationConfig(
    fractions=(0.5,),
    replicates=2,
    ratios=(1.0, 3.0),
    classifier=CLASSIFIER,
)


def noise(labels, random):
    return torch.randint(0, 256, (len(labels), 1, 16, 16), generator=random).to(torch.uint8)


def stripes(labels, random):
    """Bright images of class 1, dark ones of class 0."""
    draws = torch.randint(0, 60, (len(labels), 1, 16, 16), generator=random)
    return (labels[:, None, None, None] * 190 + draws).to(torch.uint8)


@dataclass
class FakeGenerator:
    make: object = stripes
    is_conditional: bool = True
    weights: dict = field(default_factory=lambda: {"ema": {"w": torch.zeros(2)}, "raw": {"w": torch.ones(2)}})
    training: dict = field(default_factory=lambda: {"epoch": 3})

    def sample(self, count, *, seed, weights, labels, truncation, device):
        random = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 2, (count,), generator=random) if labels is None else labels
        return self.make(labels, random)


def from_generator(*arguments, **values):
    return GeneratorSource(FakeGenerator(*arguments, **values))


@pytest.fixture
def splits(striped_images):
    return separate_images(striped_images)


@pytest.fixture
def replicate(splits):
    return Replicate(draw_images(splits, CONFIG)[0], from_generator())


@pytest.fixture
def store(tmp_path):
    return KeyedStore(tmp_path)


def test_a_set_has_as_many_images_as_the_largest_ratio_needs(splits, replicate, store):
    made = make_synthetic_set(store, replicate, CONFIG, "cpu")
    real = replicate.draw.images
    assert made.images.shape == (3 * len(real), 1, 16, 16)
    assert np.array_equal(made.images[:, 0, 0, 0] >= 190, made.labels == 1)
    assert made.labels[: len(real)].bincount().tolist() == np.bincount(real.labels).tolist()
    assert made.class_names == ("dark", "bright")
    assert made.provenance["labels_from"] == "generator"
    origin = {"fraction": 0.5, "real_images": len(real), "training": {"epoch": 3}, "seed": 0}
    assert origin.items() <= made.provenance.items()


def test_a_finished_set_is_opened_and_memory_mapped(splits, replicate, store, monkeypatch):
    first = make_synthetic_set(store, replicate, CONFIG, "cpu")
    monkeypatch.setattr(synthetic_sets, "synthesize", lambda *_, **__: pytest.fail("generated again"))
    again = make_synthetic_set(store, replicate, CONFIG, "cpu")
    for name in ("images", "labels", "places"):
        assert np.array_equal(getattr(again, name), getattr(first, name))
    assert again.provenance == first.provenance
    again.images[0] = 7  # a copy of this page; the file stays as it is
    assert np.array_equal(make_synthetic_set(store, replicate, CONFIG, "cpu").images, first.images)


def test_images_of_a_loaded_set_are_not_read_at_once(tmp_path):
    made = SyntheticImages(np.zeros((5, 1, 4, 4), np.uint8), torch.zeros(5), torch.arange(5), ("a",), {})
    made.save(tmp_path)
    images = SyntheticImages.load(tmp_path).images
    with (tmp_path / "images.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x09")
    assert images[-1, 0, -1, -1] == 9


def test_images_that_a_classifier_filters_are_made_again_in_another_precision(replicate, monkeypatch):
    def keys():
        filtered = replace(CONFIG, synthetic=SyntheticConfig(min_confidence=0.5))
        return [synthetic_sets.hash_synthetic_set(replicate, config, "cpu") for config in (CONFIG, filtered)]

    plain, filtered = keys()
    monkeypatch.setattr("gan_pipelines.classifier.fitting.resolve_precision", lambda *_: "bf16")
    again, filtered_again = keys()
    assert plain == again
    assert filtered != filtered_again


def test_the_key_covers_everything_that_determines_the_images(splits, replicate):
    def key(replicate=replicate, **changes):
        return synthetic_sets.hash_synthetic_set(replicate, replace(CONFIG, **changes), "cpu")

    plain, draw = key(), replicate.draw
    other_weights = from_generator(weights={"ema": {"w": torch.ones(2)}, "raw": {"w": torch.ones(2)}})
    fewer = draw.images.take(np.arange(8), "train")
    classifier = replace(CONFIG.classifier, epochs=2)
    other = [
        key(replicate._replace(source=other_weights)),
        key(replicate._replace(draw=draw._replace(seed=7))),
        key(replicate._replace(draw=draw._replace(images=fewer))),
        key(ratios=(2.0,)),
        *(key(synthetic=SyntheticConfig(**{name: value})) for name, value in
          {"weights": "raw", "truncation": 2.0, "balance": "uniform", "min_confidence": 0.5,
           "distance_quantiles": (0.0, 1.0)}.items()),
    ]  # fmt: skip
    assert len({plain, *other}) == 1 + len(other)
    assert key(classifier=classifier) == plain  # no classifier takes part

    unconditional = replicate._replace(source=from_generator(is_conditional=False))
    judged = key(unconditional)
    fewer = unconditional._replace(draw=draw._replace(valid=draw.valid.take(np.arange(3), "valid")))
    assert len({plain, judged, key(unconditional, classifier=classifier), key(fewer)}) == 4


@pytest.mark.parametrize(("make", "is_warned"), [(lambda labels, random: stripes(labels * 0, random) // 60, True),
                                                 (noise, False)])  # fmt: skip
def test_images_that_look_alike_are_warned_of_each_time(splits, replicate, store, caplog, make, is_warned):
    narrow = replicate._replace(source=from_generator(make))
    for _ in range(2):
        caplog.clear()
        made = make_synthetic_set(store, narrow, CONFIG, "cpu")
        assert (made.provenance["diversity"] < NARROW_BELOW) == is_warned
        assert ("Most synthetic images of seed 0 look alike" in caplog.text) == is_warned


def test_diversity_is_compared_with_that_of_real_images_of_the_same_classes(splits, replicate, store):
    """A generator as good as the real images, asked for the class whose images look alike."""
    dark = replicate.draw.images.labels == 0
    images = np.where(dark[:, None, None, None], replicate.draw.images.images // 8, replicate.draw.images.images)
    draw = replicate.draw._replace(images=replace(replicate.draw.images, images=images))
    source = from_generator(lambda labels, random: stripes(labels, random) // 8)
    config = replace(CONFIG, synthetic=SyntheticConfig(balance={"dark": 1}))
    made = make_synthetic_set(store, Replicate(draw, source), config, "cpu")
    assert {*made.labels.tolist()} == {0}
    assert made.provenance["diversity"] == pytest.approx(1, abs=0.3)


def test_a_collapse_is_seen_also_where_a_single_real_image_is_of_the_class(splits, replicate, store):
    labels = np.where(np.arange(len(replicate.draw.images)) == 0, 0, 1)
    draw = replicate.draw._replace(images=replace(replicate.draw.images, labels=labels))
    source = from_generator(lambda labels, random: stripes(labels * 0, random) // 60)
    config = replace(CONFIG, synthetic=SyntheticConfig(balance={"dark": 1}))
    assert make_synthetic_set(store, Replicate(draw, source), config, "cpu").provenance["diversity"] < NARROW_BELOW


def test_labels_of_unconditional_images_come_from_a_classifier_of_the_same_real_images(
    splits, replicate, store, monkeypatch
):
    seen = []
    fit_selected = judge.fit_selected

    def spy(train, *arguments, **options):
        seen.append(train.images)
        return fit_selected(train, *arguments, **options)

    monkeypatch.setattr(judge, "fit_selected", spy)
    unconditional = replicate._replace(source=from_generator(is_conditional=False))
    config = replace(CONFIG, classifier=replace(CLASSIFIER, epochs=4, learning_rates=(1e-9, 0.02)))
    made = make_synthetic_set(store, unconditional, config, "cpu")
    assert made.provenance["labels_from"] == "classifier"
    assert [torch.equal(images, torch.from_numpy(replicate.draw.images.images)) for images in seen] == [True] * 2
    assert np.array_equal(made.images[:, 0, 0, 0] >= 190, made.labels == 1)  # by the rate with which it has learnt


def test_bytes_are_those_of_all_replicates_that_the_store_does_not_hold(splits, store):
    replicates = [Replicate(draw, from_generator()) for draw in draw_images(splits, CONFIG)]
    expected = synthetic_bytes(store, CONFIG, len(splits.train), 16 * 16)
    sets = [make_synthetic_set(store, replicate, CONFIG, "cpu") for replicate in replicates]
    assert expected == sum(made.images.nbytes for made in sets)
    assert synthetic_bytes(store, CONFIG, len(splits.train), 16 * 16) == 0

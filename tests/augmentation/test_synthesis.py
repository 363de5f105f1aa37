from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from gan_pipelines.augmentation import GeneratorSource, check_balance, synthesize
from gan_pipelines.augmentation.config import SyntheticConfig
from gan_pipelines.augmentation.judge import DistanceRange, Judge
from gan_pipelines.augmentation.sources import ATTEMPTS
from gan_pipelines.augmentation.synthesis import SynthesisFailed, choose_labels
from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import ConfigError

NAMES = ("dark", "mid", "bright")


class ShadeGenerator:
    """Images of the shade of the class that is asked for, or of a drawn one, with noise by the seed."""

    def __init__(self, is_conditional=True):
        self.is_conditional = is_conditional
        self.counts = []
        self.seeds = []

    def sample(self, count, *, seed, weights, labels, truncation, device):
        self.counts.append(count)
        self.seeds.append(seed)
        random = torch.Generator().manual_seed(seed)
        assert (labels is None) == (not self.is_conditional)
        shades = torch.randint(0, 3, (count,), generator=random) if labels is None else labels
        noise = torch.randint(0, 40, (count, 1, 4, 4), generator=random)
        return (shades[:, None, None, None] * 100 + noise).to(torch.uint8)


class NeverBright(ShadeGenerator):
    def sample(self, *arguments, **options):
        return super().sample(*arguments, **options).clamp(max=150)


class ShadeClassifier:
    """Sure of the shade; the surer, the brighter the first pixel's noise. Its features are the pixels."""

    def describe(self, images):
        shades = images.float().mean(dim=(1, 2, 3)).div(100).floor().long()
        confidence = 0.4 + (images[:, 0, 0, 0].float() % 100) / 40 * 0.55
        probabilities = torch.full((len(images), 3), 0.0) + ((1 - confidence) / 2)[:, None]
        logits = probabilities.scatter(1, shades[:, None], confidence[:, None]).log()
        return Prediction(images.float().flatten(1), logits)


def make(source, labels, config=SyntheticConfig(), *, seed, distances=None):  # noqa: B008
    judge = Judge(ShadeClassifier(), config.min_confidence, distances)
    is_needed = config.has_filters or not source.has_labels
    return synthesize(source, labels, NAMES, config, seed=seed, judge=judge if is_needed else None)


def shades_of(images):
    return images.float().mean(dim=(1, 2, 3)).div(100).floor().long()


LABELS = torch.tensor([2, 0, 0, 1, 2, 0])


def test_a_conditional_generator_makes_what_is_asked_for():
    generator = ShadeGenerator()
    made = make(GeneratorSource(generator), LABELS, seed=5)
    assert torch.equal(made.labels, LABELS)
    assert torch.equal(shades_of(torch.from_numpy(made.images)), LABELS)
    assert generator.counts == [6]
    assert made.provenance["labels_from"] == "generator"
    assert (made.provenance["seed"], made.provenance["missing"]) == (5, {})
    other = make(GeneratorSource(generator), LABELS, seed=6)
    assert not np.array_equal(made.images, other.images)


def test_an_unconditional_generators_labels_come_from_the_classifier():
    source = GeneratorSource(ShadeGenerator(is_conditional=False))
    made = make(source, LABELS, seed=5)
    assert torch.equal(made.labels, LABELS)
    assert torch.equal(shades_of(torch.from_numpy(made.images)), LABELS)
    assert made.provenance["labels_from"] == "classifier"
    assert len(np.unique(made.images, axis=0)) == 6
    with pytest.raises(ValueError, match="judge is None"):
        synthesize(source, LABELS, NAMES, SyntheticConfig(), seed=5)


@pytest.mark.parametrize("is_conditional", [True, False])
def test_images_of_which_the_classifier_is_not_sure_are_made_anew(is_conditional):
    config = SyntheticConfig(min_confidence=0.8)
    labels = LABELS.repeat(20)
    made = make(GeneratorSource(ShadeGenerator(is_conditional)), labels, config, seed=0)
    assert torch.equal(made.labels, labels)
    assert torch.equal(shades_of(torch.from_numpy(made.images)), labels)
    assert ShadeClassifier().describe(torch.from_numpy(made.images)).logits.exp().max(dim=1).values.min() >= 0.8
    assert made.provenance["missing"] == {}


def test_every_round_of_every_seed_has_latents_of_its_own():
    generator, config = ShadeGenerator(), SyntheticConfig(min_confidence=0.99)  # surer than this judge ever is
    for seed in (0, 1):
        with pytest.raises(SynthesisFailed):
            make(GeneratorSource(generator), LABELS, config, seed=seed)
    assert len({*generator.seeds}) == len(generator.seeds) == 2 * ATTEMPTS


def test_what_cannot_be_had_is_left_out_and_counted(caplog):
    made = make(GeneratorSource(NeverBright(False)), LABELS, seed=0)
    assert made.labels.tolist() == [0, 0, 1, 0]
    assert made.places.tolist() == [place for place, label in enumerate(LABELS.tolist()) if label < 2]
    assert "2 of 6 synthetic images are missing" in caplog.text
    assert caplog.text.rstrip().endswith(": bright 2")
    assert made.provenance["missing"] == {"bright": 2}
    with pytest.raises(SynthesisFailed, match="99%"):
        make(GeneratorSource(ShadeGenerator()), LABELS, SyntheticConfig(min_confidence=0.99), seed=0)


def test_balances():
    real = np.array([0] * 6 + [1] * 3 + [2])
    as_real = choose_labels(real, NAMES, 25, SyntheticConfig())
    assert as_real[:10].bincount().tolist() == [6, 3, 1]
    assert as_real[10:20].bincount().tolist() == [6, 3, 1]
    assert len(as_real) == 25
    uniform = choose_labels(real, NAMES, 12, SyntheticConfig(balance="uniform"))
    assert uniform.bincount().tolist() == [4, 4, 4]
    assert uniform[:6].bincount().tolist() == [2, 2, 2]


def test_filling_makes_real_and_synthetic_images_together_as_equal_as_possible():
    real = np.array([0] * 6 + [1] * 3 + [2])
    labels = choose_labels(real, NAMES, 11, SyntheticConfig(balance="fill"))

    def totals(count):
        return (np.bincount(real) + labels[:count].bincount(minlength=3).numpy()).tolist()

    assert totals(2) == [6, 3, 3]
    assert totals(6) == [6, 5, 5]  # the largest class gets none before the others have as many
    assert totals(8) == [6, 6, 6]
    assert totals(11) == [7, 7, 7]


def test_quotas_are_kept_exactly_and_by_the_first_images_alone():
    config = SyntheticConfig(balance={"bright": 2, "dark": 1})
    labels = choose_labels(np.array([0, 1, 1]), NAMES, 12, config)
    assert labels.bincount(minlength=3).tolist() == [4, 0, 8]
    assert labels[:6].bincount(minlength=3).tolist() == [2, 0, 4]
    tenths = choose_labels(
        np.array([0]), NAMES, 1000, SyntheticConfig(balance={"dark": 0.5, "mid": 0.3, "bright": 0.2})
    )
    assert tenths.bincount().tolist() == [500, 300, 200]


@pytest.mark.parametrize(
    ("is_conditional", "min_confidence", "digest"),
    [
        (True, 0.0, "7702d0a436a8cd0f"),
        (False, 0.0, "5b927151105654ab"),
        (True, 0.8, "8f8b503764111821"),
        (False, 0.8, "3dd4bd4dd6f1d18c"),
        (True, 0.92, "eea2ffc953a3a672"),
        (False, 0.92, "ee1d9bc75fb42dd7"),
    ],
)
def test_the_images_of_a_generator_are_those_of_earlier_versions(is_conditional, min_confidence, digest):
    source = GeneratorSource(ShadeGenerator(is_conditional))
    made = make(source, LABELS.repeat(20), SyntheticConfig(min_confidence=min_confidence), seed=5)
    arrays = (made.images, made.labels.numpy(), made.places.numpy())
    assert hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16] == digest


def test_what_each_filter_has_kept_is_counted():
    config = SyntheticConfig(min_confidence=0.6, distance_quantiles=(0.0, 1.0))
    seen = []

    class Recording(ShadeGenerator):
        def sample(self, *arguments, **options):
            seen.append(super().sample(*arguments, **options))
            return seen[-1]

    real = torch.zeros(1, 16)
    distances = DistanceRange(real, 700, 878)  # about the mean norm of bright images
    made = make(GeneratorSource(Recording()), torch.full((30,), 2), config, seed=0, distances=distances)
    offered = torch.cat(seen)
    confident = ShadeClassifier().describe(offered).logits.exp().max(dim=1).values >= 0.6
    norms = offered.double().flatten(1).norm(dim=1)
    near = confident & (norms >= 700) & (norms <= 878)
    assert made.selection == (len(offered), int(confident.sum()), int(near.sum()))
    assert 30 <= made.selection.kept_by_distance < made.selection.kept_by_confidence < made.selection.offered
    assert np.linalg.norm(made.images.reshape(30, -1).astype(float), axis=1).max() <= 878


def test_it_is_said_which_filter_has_left_nothing():
    source = GeneratorSource(ShadeGenerator(is_conditional=False))
    with pytest.raises(SynthesisFailed, match=r"^Of 5,000 candidates there is none of which .* is 99% sure"):
        make(source, LABELS, SyntheticConfig(min_confidence=0.99), seed=0)
    config = SyntheticConfig(distance_quantiles=(0.1, 0.9))
    nowhere = DistanceRange(torch.zeros(1, 16), 1e6, 1e7)
    with pytest.raises(SynthesisFailed, match=r"^Of 5,000 candidates none is as far .* asks for, \[0.1, 0.9\]; widen"):
        make(GeneratorSource(ShadeGenerator()), LABELS, config, seed=0, distances=nowhere)

    with pytest.raises(SynthesisFailed, match=r"^None of .* candidates is of a class that"):
        make(GeneratorSource(NeverBright(False)), torch.tensor([2, 2]), seed=0)


NAMED = "one of real, uniform, fill, or the share of each class."
ORDERED = "two numbers from 0 to 1, the smaller one first, or null."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"balance": "unifrm"}, f"balance is 'unifrm', but must be {NAMED}"),
        ({"balance": 3}, f"balance is 3, but must be {NAMED}"),
        ({"balance": {}}, "balance is {}, but must be a mapping with the share of one class or more."),
        ({"balance": {"king": 0}}, "balance.king is 0, but must be a number greater than 0."),
        ({"balance": {3: "two"}}, "balance.3 is 'two', but must be a number greater than 0."),
        ({"balance": {3: True}}, "balance.3 is True, but must be a number greater than 0."),
        ({"distance_quantiles": [0.9, 0.1]}, f"distance_quantiles is (0.9, 0.1), but must be {ORDERED}"),
        ({"distance_quantiles": "0;5"}, f"distance_quantiles is (0.0, 5.0), but must be {ORDERED}"),
        ({"distance_quantiles": [0.5, 0.5]}, f"distance_quantiles is (0.5, 0.5), but must be {ORDERED}"),
    ],
)
def test_quotas_and_quantiles_that_cannot_work_are_refused(settings, sentence):
    with pytest.raises(ConfigError) as caught:
        SyntheticConfig(**settings)
    assert str(caught.value) == sentence


def test_quotas_name_classes_of_the_images():
    check_balance(SyntheticConfig(balance={"dark": 1, "mid": 0.5}), NAMES)
    check_balance(SyntheticConfig(balance={7: 1}), ("3", "7"))
    with pytest.raises(ConfigError, match=r"^balance has 'brigt', which is no class .* did you mean bright"):
        check_balance(SyntheticConfig(balance={"brigt": 1}), NAMES)

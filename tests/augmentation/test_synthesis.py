from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_pipelines.augmentation import GeneratorSource, synthesize
from gan_pipelines.augmentation.config import SyntheticConfig
from gan_pipelines.augmentation.judge import Judge
from gan_pipelines.augmentation.sources import ATTEMPTS
from gan_pipelines.augmentation.synthesis import SynthesisFailed, choose_labels
from gan_pipelines.classifier.resnet import Prediction

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
    class NeverBright(ShadeGenerator):
        def sample(self, *arguments, **options):
            return super().sample(*arguments, **options).clamp(max=150)

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

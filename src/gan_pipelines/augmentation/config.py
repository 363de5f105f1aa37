"""Settings of the augmentation experiment, and its arms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import BeforeValidator, Field, SkipValidation, Strict

from gan_pipelines.classifier.config import ClassifierConfig, FitConfig
from gan_pipelines.core.config import (
    ConfigError,
    Count,
    Integer,
    NonNegative,
    Numbers,
    Positive,
    Real,
    Share,
    Switch,
    config,
    require,
    split_numbers,
    suggest,
)
from gan_pipelines.gan.config import TransformConfig, WeightSet


def _name_classes(value: object) -> object:
    """Class names as texts: YAML reads 3 and 7 as numbers."""
    return {str(name): share for name, share in value.items()} if isinstance(value, Mapping) else value


BalanceName = Literal["real", "uniform", "fill"]
Balance = Annotated[BalanceName | Mapping[str, Positive], SkipValidation, BeforeValidator(_name_classes)]
"""Checked by `SyntheticConfig`: pydantic would name the parts of the union in its messages."""
ProbeName = Literal["imagenet"]
Quantiles = Annotated[tuple[Real, Real], BeforeValidator(split_numbers)]


def _require_different(name: str, values: Numbers, bound: float) -> None:
    allowed = f"a list of different numbers, each above 0 and at most {bound}"
    fits = bool(values) and all(0 < value <= bound for value in values) and len({*values}) == len(values)
    require(fits, name, list(values), allowed)


@config
class ArmClassifierConfig(FitConfig):
    """Classifier of every arm.

    Attributes:
        epochs: number of epochs; the best one on the validation split counts. `list_arms` says how long they are.
        learning_rates: candidates, each at the start of a fit. Every arm is fitted with each of them, and the
            validation split decides which one counts.
    """

    epochs: Count = 30
    learning_rates: Numbers = (0.01, 0.05)
    weight_decay: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_different("learning_rates", self.learning_rates, 10)

    def at(self, learning_rate: float, seed: int) -> ClassifierConfig:
        """Configure a single fit."""
        values = asdict(self) | {"learning_rate": learning_rate, "seed": seed}
        return ClassifierConfig(**{name: value for name, value in values.items() if name != "learning_rates"})


@config
class SyntheticConfig:
    """Choice of the synthetic images.

    Attributes:
        weights: set of weights of the generator.
        truncation: bound on the latents, or null; see `TrainedGenerator.sample_batches`.
        balance: class frequencies: ``real`` as in the real images, ``uniform`` all equal; ``fill`` makes real and
            synthetic images together as equal as their number allows, so that rare classes get most of them. A mapping
            has the share of each class, such as 2 and 1; classes that it leaves out get none.
        min_confidence: minimum probability of the label by a classifier of the real images; 0 accepts all images.
        distance_quantiles: a lower and an upper quantile of the distances of real validation images to their nearest
            real training image, in the features of the same classifier. Images nearer to a training image than the
            lower one, as copies are, or farther than the upper one, as outliers are, are rejected. Null accepts all.
    """

    weights: WeightSet = "ema"
    truncation: Positive | None = None
    balance: Balance = "real"
    min_confidence: Share = 0.0
    distance_quantiles: Quantiles | None = None

    def __post_init__(self) -> None:
        _check_balance(self.balance)
        low, high = self.distance_quantiles or (0, 1)
        allowed = "two numbers from 0 to 1, the smaller one first, or null"
        require(0 <= low < high <= 1, "distance_quantiles", self.distance_quantiles, allowed)

    @property
    def has_filters(self) -> bool:
        """Whether images can be rejected."""
        return self.min_confidence > 0 or self.distance_quantiles is not None


def _check_balance(balance: object) -> None:
    if not isinstance(balance, Mapping):
        allowed = f"one of {', '.join(get_args(BalanceName))}, or the share of each class"
        require(balance in get_args(BalanceName), "balance", balance, allowed)
        return
    require(bool(balance), "balance", balance, "a mapping with the share of one class or more")
    for name, share in balance.items():
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        require(is_number and 0 < share < math.inf, f"balance.{name}", share, "a number greater than 0")


def check_balance(config: SyntheticConfig, class_names: Sequence[str]) -> None:
    """Raise a `ConfigError` if ``balance`` has a class that the images do not have."""
    stated = config.balance if isinstance(config.balance, Mapping) else {}
    for name in stated:
        if name not in class_names:
            known = suggest(name, list(class_names))
            raise ConfigError(f"has {name!r}, which is no class of these images; {known}", "balance")


@config
class AugmentationConfig:
    """An experiment: fractions of the real images x replicates x arms.

    Attributes:
        fractions: fractions of the real training images for generator and classifiers, each in (0, 1].
        replicates: number of repetitions, each with its own draw of the images, generator and classifiers. All draw
            from the same dataset, and the result holds for this dataset.
        ratios: synthetic images per real image, one arm for each ratio.
        max_valid_share: maximum number of validation images of a replicate per real training image. With more of them
            than training images, they would serve better as training images.
        synthetic: choice of the synthetic images.
        transforms: random transforms of the transformed arms; without any, there are no such arms.
        classifier: classifier of every arm.
        test_curves: whether loss and accuracy on the test split are measured after each epoch of a classifier, for the
            curves; they choose nothing.
        generator_epochs: epochs of each generator; null takes as many steps as with all images.
        probe: feature extractor of the linear probe, one more simple classifier beside the arms; null fits none.
        seed: seed of the first replicate; the others count up from it.
    """

    fractions: Numbers = (0.1, 0.25, 0.5, 1.0)
    replicates: Integer = 5
    ratios: Numbers = (1.0, 4.0)
    max_valid_share: Annotated[float, Strict(), Field(gt=0, le=1)] = 0.25
    synthetic: SyntheticConfig = SyntheticConfig()
    transforms: TransformConfig = TransformConfig()
    classifier: ArmClassifierConfig = ArmClassifierConfig()
    test_curves: Switch = False
    generator_epochs: Count | None = None
    probe: ProbeName | None = None
    seed: Annotated[int, Strict(), Field(ge=0, lt=2**32)] = 0

    def __post_init__(self) -> None:
        _require_different("fractions", self.fractions, 1)
        _require_different("ratios", self.ratios, 100)
        require(self.replicates >= 2, "replicates", self.replicates, "2 or more, to tell a difference from chance")

    @property
    def largest_ratio(self) -> float:
        """Synthetic images per real image in the arms that do not compare ratios."""
        return max(self.ratios)

    @property
    def seeds(self) -> range:
        """Seeds of the replicates."""
        return range(self.seed, self.seed + self.replicates)


class Arm(NamedTuple):
    """The training images of one classifier of each replicate.

    Attributes:
        name: name in tables and figures.
        has_real: whether it has the real images.
        ratio: synthetic images per real image.
        is_transformed: whether its images are transformed at random.
        is_short: whether the number of steps follows from its own images; all other arms take equally many steps.
    """

    name: str
    has_real: bool = True
    ratio: float = 0.0
    is_transformed: bool = False
    is_short: bool = False

    @property
    def has_both(self) -> bool:
        """Whether it has real and synthetic images."""
        return self.has_real and self.ratio > 0


REAL = Arm("real", is_short=True)
REAL_LONGER = Arm("real_longer")
TRANSFORMED = Arm("transformed", is_transformed=True)


def list_arms(config: AugmentationConfig) -> list[Arm]:
    """List the arms of the experiment.

    All arms but ``real`` take the same number of steps: ``classifier.epochs`` passes over the real images and the
    largest number of synthetic ones. More steps alone may help, which is not an effect of the images.
    """
    largest = config.largest_ratio
    transformed = [TRANSFORMED, Arm(f"transformed_added_{largest:g}x", ratio=largest, is_transformed=True)]
    return [
        REAL,
        REAL_LONGER,
        *(Arm(f"added_{ratio:g}x", ratio=ratio) for ratio in config.ratios),
        Arm("synthetic_only", has_real=False, ratio=largest),
        *(transformed if config.transforms != TransformConfig() else []),
    ]


def list_contrasts(config: AugmentationConfig) -> list[tuple[Arm, Arm]]:
    """List pairs of an arm and its baseline, which differs from it in one respect."""
    arms = list_arms(config)
    return [
        (arm, REAL if arm is REAL_LONGER else TRANSFORMED if arm.is_transformed and arm.ratio else REAL_LONGER)
        for arm in arms
        if arm is not REAL
    ]

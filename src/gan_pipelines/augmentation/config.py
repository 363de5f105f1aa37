"""How the experiment is laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from gan_pipelines.classifier.config import ClassifierConfig, Schedule
from gan_pipelines.core.config import require, require_choice
from gan_pipelines.gan.config import TransformConfig, WeightSet

Balance = Literal["real", "uniform"]


@dataclass(frozen=True, kw_only=True)
class ArmClassifierConfig(ClassifierConfig):
    """The classifier of every arm: plain SGD at a constant rate, unless said otherwise.

    Attributes:
        epochs: see `list_arms`; the best by the validation split counts.
    """

    epochs: int = 30
    learning_rate: float = 0.001
    weight_decay: float = 0.0
    schedule: Schedule = "constant"


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Which generated images are used.

    Attributes:
        weights: which set of weights of the generator.
        truncation: bound on the latents, or None; see `TrainedGenerator.sample_batches`.
        balance: ``real`` has the classes of the real images as often as they have them, ``uniform`` all alike.
        min_confidence: what a classifier of the real images must at least give the label, in [0, 1); 0 keeps all.
    """

    weights: WeightSet = "ema"
    truncation: float | None = None
    balance: Balance = "real"
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        require_choice("weights", self.weights, WeightSet)
        require_choice("balance", self.balance, Balance)
        bound = self.truncation
        require(bound is None or bound > 0, "truncation", bound, "greater than 0, or null for none")
        require(0 <= self.min_confidence < 1, "min_confidence", self.min_confidence, "at least 0 and below 1")


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Fractions of the real images x replicates x arms.

    Attributes:
        fractions: of the real training images that generator and classifiers have, each in (0, 1].
        replicates: repetitions of all, each with its own draw of the fraction, generator and classifier seed. They
            draw from the same images: what they say holds for this dataset.
        ratios: generated images for each real one, one arm each.
        synthetic: which generated images.
        transforms: the ordinary augmentation that they are compared and combined with.
        classifier: of every arm.
        generator_epochs: over the fraction; None takes about as many steps as the variant has over all.
        seed: of the first replicate; the others count on from there.
    """

    fractions: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    replicates: int = 5
    ratios: tuple[float, ...] = (1.0, 4.0)
    synthetic: SyntheticConfig = SyntheticConfig()
    transforms: TransformConfig = TransformConfig()
    classifier: ArmClassifierConfig = ArmClassifierConfig()
    generator_epochs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, values, bound in (("fractions", self.fractions, 1), ("ratios", self.ratios, 100)):
            allowed = f"a list of different numbers, each above 0 and at most {bound}"
            fits = bool(values) and all(0 < value <= bound for value in values) and len({*values}) == len(values)
            require(fits, name, list(values), allowed)
        require(self.replicates >= 2, "replicates", self.replicates, "2 or more, to tell a difference from chance")
        epochs = self.generator_epochs
        require(epochs is None or epochs >= 1, "generator_epochs", epochs, "1 or more, or null")
        require(0 <= self.seed < 2**32, "seed", self.seed, "at least 0 and below 2**32")

    @property
    def largest_ratio(self) -> float:
        """Generated images for each real one in the arms that are not about ratios."""
        return max(self.ratios)

    @property
    def seeds(self) -> range:
        """One seed for each replicate."""
        return range(self.seed, self.seed + self.replicates)


class Arm(NamedTuple):
    """What one classifier of each replicate is fitted on.

    Attributes:
        name: in tables and figures.
        has_real: whether the real images are among its images.
        ratio: generated images for each real one.
        is_transformed: whether its images are augmented in the ordinary way.
        is_short: whether it is fitted for the epochs of its own images, instead of for as many steps as all others.
    """

    name: str
    has_real: bool = True
    ratio: float = 0.0
    is_transformed: bool = False
    is_short: bool = False


REAL = Arm("real", is_short=True)
REAL_LONGER = Arm("real_longer")
TRANSFORMED = Arm("transformed", is_transformed=True)


def list_arms(config: AugmentationConfig) -> list[Arm]:
    """The arms of the experiment.

    All but ``real`` take the same number of steps, those of ``classifier.epochs`` passes over the real images and the
    largest number of generated ones: more steps alone may help, and must not look like a merit of the images.
    """
    largest = config.largest_ratio
    return [
        REAL,
        REAL_LONGER,
        *(Arm(f"added_{ratio:g}x", ratio=ratio) for ratio in config.ratios),
        Arm("synthetic_only", has_real=False, ratio=largest),
        TRANSFORMED,
        Arm(f"transformed_added_{largest:g}x", ratio=largest, is_transformed=True),
    ]


def list_contrasts(config: AugmentationConfig) -> list[tuple[Arm, Arm]]:
    """Pairs of an arm and the one that it is compared with: the same without the one thing that it is about."""
    arms = list_arms(config)
    return [
        (arm, REAL if arm is REAL_LONGER else TRANSFORMED if arm.is_transformed and arm.ratio else REAL_LONGER)
        for arm in arms
        if arm is not REAL
    ]

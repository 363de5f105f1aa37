"""How the augmentation experiment is laid out."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, Strict

from gan_pipelines.classifier.config import ClassifierConfig, Schedule
from gan_pipelines.core.config import Count, Integer, NonNegative, Numbers, Positive, Share, config, require
from gan_pipelines.gan.config import TransformConfig, WeightSet

Balance = Literal["real", "uniform"]


@config
class ArmClassifierConfig(ClassifierConfig):
    """Classifier of every arm: by default plain SGD at a constant learning rate.

    Attributes:
        epochs: number of epochs, of which the best on the validation split counts; see `list_arms` for their length.
    """

    epochs: Count = 30
    learning_rate: Positive = 0.001
    weight_decay: NonNegative = 0.0
    schedule: Schedule = "constant"


@config
class SyntheticConfig:
    """Choice of the generated images.

    Attributes:
        weights: set of weights of the generator.
        truncation: bound on the latents, or null; see `TrainedGenerator.sample_batches`.
        balance: ``real`` has the class frequencies of the real images, ``uniform`` equal ones.
        min_confidence: minimum probability that a classifier of the real images gives the label; 0 keeps all images.
    """

    weights: WeightSet = "ema"
    truncation: Positive | None = None
    balance: Balance = "real"
    min_confidence: Share = 0.0


@config
class AugmentationConfig:
    """Fractions of the real images x replicates x arms.

    Attributes:
        fractions: fractions of the real training images for generator and classifiers, each in (0, 1].
        replicates: repetitions, each with its own draw of the images, generator and classifiers. All draw from the same
            images: the result holds for this dataset.
        ratios: generated images per real image, one arm each.
        synthetic: choice of the generated images.
        transforms: ordinary augmentation, which the generated images are compared and combined with.
        classifier: of every arm.
        generator_epochs: passes over the fraction; null takes about as many steps as the variant takes over all images.
        seed: of the first replicate; the next ones count up from it.
    """

    fractions: Numbers = (0.1, 0.25, 0.5, 1.0)
    replicates: Integer = 5
    ratios: Numbers = (1.0, 4.0)
    synthetic: SyntheticConfig = SyntheticConfig()
    transforms: TransformConfig = TransformConfig()
    classifier: ArmClassifierConfig = ArmClassifierConfig()
    generator_epochs: Count | None = None
    seed: Annotated[int, Strict(), Field(ge=0, lt=2**32)] = 0

    def __post_init__(self) -> None:
        for name, values, bound in (("fractions", self.fractions, 1), ("ratios", self.ratios, 100)):
            allowed = f"a list of different numbers, each above 0 and at most {bound}"
            fits = bool(values) and all(0 < value <= bound for value in values) and len({*values}) == len(values)
            require(fits, name, list(values), allowed)
        require(self.replicates >= 2, "replicates", self.replicates, "2 or more, to tell a difference from chance")

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

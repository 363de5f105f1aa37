"""How generators are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Strict

from gan_pipelines.classifier.config import ClassifierConfig
from gan_pipelines.core.config import Count, Integer, Seed, config, require, split_texts
from gan_pipelines.gan.config import WeightSet

ClipName = Literal[
    "clip-rn50",
    "clip-rn101",
    "clip-rn50x4",
    "clip-rn50x16",
    "clip-rn50x64",
    "clip-vit-b-32",
    "clip-vit-b-16",
    "clip-vit-l-14",
    "clip-vit-l-14-336px",
]
DinoName = Literal["dinov2-vit-s-14", "dinov2-vit-b-14", "dinov2-vit-l-14", "dinov2-vit-g-14"]
ExtractorName = Literal["classifier", "imagenet", "inception", "vgg16", ClipName, DinoName]
Splits = Annotated[
    tuple[str, ...],
    BeforeValidator(split_texts, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
]
WITHOUT_FILE = ("classifier", "imagenet")
"""Extractors whose weights are fitted or come with a package."""
MIN_IMAGES = 6
"""Minimum number of real or generated images for a score: density uses five neighbours of each."""


@config
class MonitorConfig:
    """FID and Inception Score of a few samples during training; the lowest FID marks the best epoch.

    Attributes:
        samples: number of images to generate; scores are named by it, as in ``fid_5k``.
        every_epochs: epochs between two measurements; the last epoch is measured as well.
        weights: set of weights of the generator.
        batch: number of images of a second FID, of so many generated against so many real ones, as where one batch is
            scored; so few make it far too high. Null for none.
    """

    samples: Integer = 5_000
    every_epochs: Count = 5
    weights: WeightSet = "ema"
    batch: Annotated[int, Strict(), Field(ge=2)] | None = None

    def __post_init__(self) -> None:
        fits = self.batch is None or self.batch < self.samples
        require(fits, "batch", self.batch, f"below samples, {self.samples}")


@config
class ScoringConfig:
    """Feature extractor, number of samples, and the real images that they are compared with.

    Attributes:
        extractor: ``classifier``, the project's ResNet fitted on the train split; ``imagenet``, EfficientNet-Lite0,
            whose weights come with the extra ``imagenet``; ``inception``, torch-fidelity's port of the network that
            published FIDs use; or another of torch-fidelity's extractors.
        extractor_weights: a local copy of the weights of torch-fidelity's extractors; null takes them from PyTorch's
            hub cache, or downloads them.
        classifier: how the ``classifier`` is fitted.
        samples: number of images to generate.
        is_splits: number of parts over which the mean and the spread of the Inception Score are taken.
        reference_split: split of the real images that the generated ones are compared with, or several.
        seed: of the generated images; those of ``during_training`` have another.
        during_training: scores of a few samples during training.
    """

    extractor: ExtractorName = "classifier"
    extractor_weights: str | None = None
    classifier: ClassifierConfig = ClassifierConfig()
    samples: Integer = 50_000
    is_splits: Count = 10
    reference_split: Splits = ("train",)
    seed: Seed = 0
    during_training: MonitorConfig = MonitorConfig()

    def __post_init__(self) -> None:
        if self.extractor in WITHOUT_FILE:
            allowed = f"null for the extractor {self.extractor}"
            require(self.extractor_weights is None, "extractor_weights", self.extractor_weights, allowed)
        splits = self.reference_split
        require(len(splits) > 0, "reference_split", splits, "one split or more")
        require(len({*splits}) == len(splits), "reference_split", splits, "a list without repetitions")
        needed = self.fewest_samples
        require(self.samples >= needed, "samples", self.samples, f"{needed} or more")
        monitored = self.during_training.samples
        require(monitored >= needed, "during_training.samples", monitored, f"{needed} or more")

    @property
    def fewest_samples(self) -> int:
        """Number of images without which there are no scores."""
        return max(MIN_IMAGES, self.is_splits)

    @property
    def reference(self) -> str:
        """Name of the reference, whatever the order of its splits: ``train``, or ``test + train``."""
        return " + ".join(sorted(self.reference_split))


def abbreviate(count: int) -> str:
    """5000 is 5k, and 1234 is 1234."""
    return f"{count // 1000}k" if count % 1000 == 0 else str(count)

"""How generators are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gan_pipelines.classifier.config import ClassifierConfig
from gan_pipelines.core.config import require, require_choice
from gan_pipelines.gan.config import WeightSet

ExtractorName = Literal["classifier", "inception"]
MIN_IMAGES = 6
"""Real or generated ones that a score needs: density looks at five neighbours of each."""


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """A cheap score while a training runs: FID and Inception Score of few samples; the lowest FID marks the best epoch.

    Attributes:
        samples: number of images to generate; the scores are named by it, as in ``fid_5k``.
        every_epochs: epochs between two scores; the last epoch is scored as well.
        weights: which set of weights of the generator.
    """

    samples: int = 5_000
    every_epochs: int = 5
    weights: WeightSet = "ema"

    def __post_init__(self) -> None:
        require(self.every_epochs >= 1, "every_epochs", self.every_epochs, "1 or more")
        require_choice("weights", self.weights, WeightSet)


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """Feature extractor, number of images, and what they are compared with.

    Attributes:
        extractor: ``classifier``, the project's ResNet-18 fitted on the train split; or ``inception``, torch-fidelity's
            port of the network that published FIDs use.
        inception_weights: a local copy of torch-fidelity's weights; None takes them from PyTorch's hub cache, or from
            the net.
        classifier: how the ``classifier`` is fitted.
        samples: number of images to generate.
        is_splits: number of parts over which the Inception Score's mean and spread are taken.
        reference_split: the real images that the generated ones are compared with.
        seed: of the generated images.
        during_training: the cheap score while a training runs.
    """

    extractor: ExtractorName = "classifier"
    inception_weights: str | None = None
    classifier: ClassifierConfig = ClassifierConfig()
    samples: int = 50_000
    is_splits: int = 10
    reference_split: str = "train"
    seed: int = 0
    during_training: MonitorConfig = MonitorConfig()

    def __post_init__(self) -> None:
        require_choice("extractor", self.extractor, ExtractorName)
        require(self.is_splits >= 1, "is_splits", self.is_splits, "1 or more")
        needed = max(MIN_IMAGES, self.is_splits)
        require(self.samples >= needed, "samples", self.samples, f"{needed} or more")
        monitored = self.during_training.samples
        require(monitored >= needed, "during_training.samples", monitored, f"{needed} or more")
        require(0 <= self.seed < 2**63, "seed", self.seed, "at least 0 and below 2**63")


def abbreviate(count: int) -> str:
    """5000 is 5k, and 1234 is 1234."""
    return f"{count // 1000}k" if count % 1000 == 0 else str(count)

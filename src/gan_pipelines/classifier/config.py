"""How the classifier is built and fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gan_pipelines.core.config import require, require_choice

Stem = Literal["imagenet", "small"]
Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """ResNet-18 by SGD with momentum.

    Attributes:
        stem: ``imagenet`` is the paper's 7x7 convolution and pooling; ``small`` a 3x3 convolution without pooling,
            better at 32 pixels for about ten times the work.
        learning_rate: at the start.
        schedule: ``cosine`` lets it fall to zero along half a cosine, ``constant`` leaves it.
    """

    stem: Stem = "imagenet"
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("stem", self.stem, Stem)
        require_choice("schedule", self.schedule, Schedule)
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "2 or more (batch norm needs two images)")
        require(0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "greater than 0")
        require(0 <= self.momentum < 1, "momentum", self.momentum, "at least 0 and below 1")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.seed < 2**63, "seed", self.seed, "at least 0 and below 2**63")

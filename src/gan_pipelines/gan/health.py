"""Signs that a training has failed: losses that are no numbers, a generator that makes one image only."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from gan_pipelines.errors import ProjectError

COLLAPSED_BELOW = 0.05
"""Diversity, relative to real images, under which the samples are one image for the eye."""
PATIENCE_EPOCHS = 3
"""Epochs that a collapse must last: single dips heal."""


class TrainingDiverged(ProjectError):
    """Training that cannot be saved by going on."""


def diversity(images: Tensor) -> float:
    """Standard deviation over the images of each pixel, averaged over pixels, in grey levels (0 to 127.5).

    Args:
        images: (N, C, H, W), uint8.
    """
    return images.float().std(dim=0, correction=0).mean().item()


class HealthCheck:
    """Looks at the metrics of each epoch and ends a training that has failed."""

    def __init__(self) -> None:
        self.has_been_diverse = False
        self.collapsed_epochs = 0

    def check(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Raise `TrainingDiverged` if a metric is not finite or the generator has collapsed.

        A fresh generator makes one grey image; it counts as collapsed only once it has made different ones.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name} became {value} in epoch {epoch}; lower the learning rates, "
                    "and if precision is bf16, try fp32"
                )
        collapsed = metrics["sample_diversity"] < COLLAPSED_BELOW
        self.has_been_diverse |= not collapsed
        self.collapsed_epochs = self.collapsed_epochs + 1 if collapsed and self.has_been_diverse else 0
        if self.collapsed_epochs >= PATIENCE_EPOCHS:
            raise TrainingDiverged(
                f"the generator collapsed: for {PATIENCE_EPOCHS} epochs up to epoch {epoch} its samples have differed "
                f"by less than {COLLAPSED_BELOW:.0%} of what real images do; lower the learning rates, or choose "
                "another objective or seed"
            )

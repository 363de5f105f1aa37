"""Signs that a training has failed: losses that are no numbers, a generator that makes one image only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

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


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no tensor holds an infinity or NaN."""
    return bool(torch.isfinite(get_total_norm(tensors)))


class HealthCheck:
    """Looks at the metrics of each epoch and ends a training that has failed."""

    def __init__(self) -> None:
        self.has_been_diverse = False
        self.collapsed_epochs = 0

    def check(self, epoch: int, metrics: Mapping[str, float], networks: Iterable[nn.Module]) -> None:
        """Look at an epoch that is done.

        A fresh generator makes one grey image; it counts as collapsed only once it has made different ones.

        Raises:
            TrainingDiverged: if a metric or a weight is not finite, or the generator has collapsed for good.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name} became {value} in epoch {epoch}; lower the learning rates, "
                    "and if precision is bf16, try fp32"
                )
        for network in networks:
            if not are_finite(network.parameters()):
                raise TrainingDiverged(
                    f"weights of the {type(network).__name__} became infinite or NaN in epoch {epoch}; "
                    "lower the learning rates"
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

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state that `state_dict` gave."""
        vars(self).update(state)

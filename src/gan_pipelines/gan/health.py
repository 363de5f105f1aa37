"""Signs that a training fails: losses that are no numbers, a generator that makes few images or one."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from gan_pipelines.core.errors import ProjectError

logger = logging.getLogger(__name__)

COLLAPSED_BELOW = 0.05
"""Diversity, relative to real images, under which the samples are one image, or a few, for the eye."""
NARROW_BELOW = 0.4
"""Diversity, relative to real images, under which most samples have a twin: mode collapse. Real images of one source
lie within a fifth of each other; a few images with strong noise stay below."""
PATIENCE_EPOCHS = 3
"""Epochs that a collapse must last: single dips heal."""


class TrainingDiverged(ProjectError):
    """Training that cannot be saved by going on."""


def diversity(images: Tensor) -> float:
    """Distance of an image to the one most like it, the median over the images: root mean square, in grey levels.

    Images of a few kinds only have near twins, however much the kinds differ.

    Args:
        images: (N, C, H, W), uint8, N at least 2; a handful of hundreds, since each is compared with each.
    """
    pixels = images.flatten(1).float()
    distances = torch.cdist(pixels, pixels, compute_mode="donot_use_mm_for_euclid_dist")  # exact where images are equal
    nearest = distances.fill_diagonal_(math.inf).amin(dim=1)
    return nearest.median().item() / pixels.shape[1] ** 0.5


def relative_diversity(samples: Tensor, real: NDArray[np.uint8]) -> float:
    """Diversity of samples, relative to as many real images from all over their set; infinite if those are all alike.

    Args:
        samples: (N, C, H, W) uint8.
        real: (M, C, H, W) uint8; at most N of them are read.
    """
    rows = np.linspace(0, len(real) - 1, min(len(samples), len(real))).astype(int)
    distinct = torch.from_numpy(real[rows]).unique(dim=0)
    return math.inf if len(distinct) < 2 else diversity(samples) / diversity(distinct)


def describe_mode_collapse(sample_diversity: float) -> str:
    """Say what a diversity below `NARROW_BELOW` means."""
    return (
        f"Most samples have a twin, {sample_diversity:.0%} as far away as among real images: mode collapse. "
        "Look at the sample grids."
    )


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no tensor holds an infinity or NaN."""
    return bool(torch.isfinite(get_total_norm(tensors)))


class HealthCheck:
    """Looks at the metrics of each epoch, warns of mode collapse, and ends a training that has failed.

    A fresh generator makes one grey image: what has never been there cannot be lost.
    """

    def __init__(self) -> None:
        self.has_been_diverse = False
        self.has_been_wide = False
        self.collapsed_epochs = 0
        self.narrow_epochs = 0

    @property
    def is_collapsed(self) -> bool:
        """Whether the samples of the last epoch are a single image after there have been different ones."""
        return self.has_been_diverse and self.collapsed_epochs > 0

    def check(self, epoch: int, metrics: Mapping[str, float], networks: Iterable[nn.Module]) -> None:
        """Look at an epoch that is done.

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
        self._check_diversity(epoch, metrics["sample_diversity"])

    def _check_diversity(self, epoch: int, sample_diversity: float) -> None:
        self.has_been_wide |= sample_diversity >= NARROW_BELOW
        self.has_been_diverse |= sample_diversity >= COLLAPSED_BELOW
        self.narrow_epochs = self.narrow_epochs + 1 if sample_diversity < NARROW_BELOW else 0
        self.collapsed_epochs = self.collapsed_epochs + 1 if sample_diversity < COLLAPSED_BELOW else 0
        if self.has_been_diverse and self.collapsed_epochs >= PATIENCE_EPOCHS:
            raise TrainingDiverged(
                f"the generator collapsed: for {PATIENCE_EPOCHS} epochs up to epoch {epoch} its samples have differed "
                f"by less than {COLLAPSED_BELOW:.0%} of what real images do; lower the learning rates, or choose "
                "another objective or seed"
            )
        if self.has_been_wide and self.narrow_epochs == PATIENCE_EPOCHS:
            logger.warning("Epoch %d: %s", epoch, describe_mode_collapse(sample_diversity))

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state that `state_dict` gave."""
        vars(self).update(state)

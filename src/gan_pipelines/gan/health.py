"""Health checks of a training: infinite or NaN values, mode collapse (near-duplicates), collapse (a single image)."""

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
"""Diversity relative to real images below which the generator has collapsed: all samples look the same."""
NARROW_BELOW = 0.4
"""Diversity relative to real images below which most samples have a near-duplicate: mode collapse.

Sets of real images of one source differ by less than 0.2. A generator of a few images with noise stays below 0.4."""
PATIENCE_EPOCHS = 3
"""Number of epochs in a row after which low diversity is reported; shorter dips are ignored."""


class TrainingDiverged(ProjectError):
    """A training that has failed: infinite or NaN values, or a collapse with ``on_collapse: stop``."""


def diversity(images: Tensor) -> float:
    """Measure how much images differ: the median over the images of the distance to the nearest other image.

    Near-duplicates lower it, however much the other images differ.

    Args:
        images: (N, C, H, W) uint8, with N from 2 to some hundreds, since every pair is compared.

    Returns:
        root mean square difference per pixel, in grey levels from 0 to 255.
    """
    pixels = images.flatten(1).float()
    distances = torch.cdist(pixels, pixels, compute_mode="donot_use_mm_for_euclid_dist")  # exactly 0 for equal images
    nearest = distances.fill_diagonal_(math.inf).amin(dim=1)
    return nearest.median().item() / pixels.shape[1] ** 0.5


def relative_diversity(samples: Tensor, real: NDArray[np.uint8]) -> float:
    """Divide the diversity of samples by that of as many real images, spread evenly over the set.

    Args:
        samples: (N, C, H, W) uint8.
        real: (M, C, H, W) uint8; at most N of them are read.

    Returns:
        about 1 for samples as diverse as the real images, 0 for equal samples; infinite if the real images are equal.
    """
    rows = np.linspace(0, len(real) - 1, min(len(samples), len(real))).astype(int)
    distinct = torch.from_numpy(real[rows]).unique(dim=0)
    return math.inf if len(distinct) < 2 else diversity(samples) / diversity(distinct)


def describe_low_diversity(sample_diversity: float) -> str:
    """Describe a relative diversity below `NARROW_BELOW` in a sentence."""
    if sample_diversity < COLLAPSED_BELOW:
        return (
            f"All samples look the same (collapse): their diversity is {sample_diversity:.1%} of that of real images. "
            "The generator has collapsed, or was trained for too few steps."
        )
    return (
        f"Most samples have a near-duplicate (mode collapse): their diversity is {sample_diversity:.0%} of that of "
        "real images. Look at the sample grids."
    )


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no tensor holds an infinity or NaN."""
    return bool(torch.isfinite(get_total_norm(tensors)))


class HealthCheck:
    """Checks each epoch: ends a training with infinite or NaN values, warns of mode collapse, and notes a collapse.

    A collapse is noted only once samples have been diverse, since a new generator makes the same grey image of every
    latent.
    """

    def __init__(self) -> None:
        self.has_been_diverse = False
        self.has_been_wide = False
        self.collapsed_epochs = 0
        self.narrow_epochs = 0

    @property
    def has_collapsed(self) -> bool:
        """Whether all samples have looked the same for `PATIENCE_EPOCHS` epochs or more, and were diverse before."""
        return self.has_been_diverse and self.collapsed_epochs >= PATIENCE_EPOCHS

    def describe_collapse(self, epoch: int) -> str:
        """Describe the collapse that has lasted up to ``epoch``, and what to do: a clause without its full stop."""
        return (
            f"the generator collapsed: for {self.collapsed_epochs} epochs up to epoch {epoch} the diversity of its "
            f"samples was below {COLLAPSED_BELOW:.0%} of that of real images; lower the learning rates, or choose "
            "another objective or seed"
        )

    def check(self, epoch: int, metrics: Mapping[str, float], networks: Iterable[nn.Module]) -> None:
        """Check a finished epoch.

        Args:
            epoch: its number, from 1.
            metrics: its metrics, with ``sample_diversity``.
            networks: generator and discriminator.

        Raises:
            TrainingDiverged: if a metric or a weight is infinite or NaN.
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
        if self.has_been_wide and self.narrow_epochs == PATIENCE_EPOCHS and not self.has_collapsed:
            logger.warning("Epoch %d: %s", epoch, describe_low_diversity(sample_diversity))

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        vars(self).update(state)

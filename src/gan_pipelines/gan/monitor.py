"""A score while a training runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gan_pipelines.gan.sampling import TrainedGenerator


@dataclass(frozen=True)
class Monitor:
    """What to measure of a generator now and then, and which epoch is the best.

    Attributes:
        measure: from a generator to named numbers; it must not draw from PyTorch's global random numbers.
        metric: the one among them that is lowest in the best epoch.
        key: equal where the numbers are comparable; what was measured under another key is forgotten.
        every_epochs: epochs between two measurements; the last epoch is measured as well.
    """

    measure: Callable[[TrainedGenerator], Mapping[str, float]]
    metric: str
    key: str
    every_epochs: int

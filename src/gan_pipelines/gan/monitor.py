"""Scores during a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gan_pipelines.gan.sampling import TrainedGenerator


@dataclass(frozen=True)
class Monitor:
    """What to measure during a training, and which measurement decides the best epoch.

    Attributes:
        measure: measures a generator and returns named numbers.
        metric: the name of the number that is lowest in the best epoch.
        key: identifies how the numbers are measured. Numbers under different keys are not comparable: a resumed
            training drops those under another key.
        every_epochs: number of epochs between two measurements; the last epoch is always measured.
    """

    measure: Callable[[TrainedGenerator], Mapping[str, float]]
    metric: str
    key: str
    every_epochs: int

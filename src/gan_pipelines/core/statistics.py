"""Confidence intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float


def t_interval(differences: NDArray[np.float64]) -> Interval:
    """Student's t interval of the mean of paired differences (N,), N at least 2."""
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    margin = float(special.stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2)) * error
    return Interval(mean - margin, mean + margin)

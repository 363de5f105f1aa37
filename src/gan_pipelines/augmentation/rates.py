"""Choice of the learning rate on the validation split."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gan_pipelines.augmentation.arms import ArmFit
from gan_pipelines.augmentation.config import REAL_LONGER

Rates = dict[tuple[float, str], float]
"""Learning rate of each fraction and arm."""


def own_rates(fits: Sequence[ArmFit]) -> Rates:
    """Choose for each fraction and arm the rate with its lowest mean validation loss; the first one if equal.

    Of a few dozen validation images the accuracy is too coarse: several rates often have the same.
    """
    names = ["fraction", "arm", "learning_rate"]
    table = pd.DataFrame([[getattr(fit, name) for name in (*names, "valid_loss")] for fit in fits])
    means = table.set_axis([*names, "loss"], axis=1).groupby(names, sort=False)["loss"].mean()
    best = means.groupby(["fraction", "arm"], sort=False).idxmin()
    return {(fraction, arm): rate for fraction, arm, rate in best}


def common_rates(fits: Sequence[ArmFit]) -> Rates:
    """Choose one rate for all arms of a fraction: that of `REAL_LONGER`, which has only real images."""
    rates = own_rates(fits)
    return {(fraction, arm): rates[fraction, REAL_LONGER.name] for fraction, arm in rates}


def select_fits(fits: Sequence[ArmFit], rates: Rates) -> list[ArmFit]:
    """Select the fits with the chosen rates, one for each fraction, replicate and arm."""
    return [fit for fit in fits if fit.learning_rate == rates[fit.fraction, fit.arm]]

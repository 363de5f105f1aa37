"""The values of pictures with more than 8 bits, and which of them become black and white."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from gan_pipelines.images.config import ValueRange
from gan_pipelines.images.decoding import SIXTEEN_BITS, Picture
from gan_pipelines.images.errors import DatasetUnusable

BIT_DEPTHS = (8, 10, 12, 14, 16)
"""Bit depths of cameras, scanners and microscopes, whose files have 16 bits."""
PROVISIONAL_RANGE: ValueRange = (0, SIXTEEN_BITS)
"""Range until that of the dataset is known."""


class Values(NamedTuple):
    """The values of pictures with more than 8 bits.

    Attributes:
        low: smallest value.
        high: largest value, or the maximum that a file states.
        are_floats: whether there are floating-point values.
        name: name of one of them.
    """

    low: float
    high: float
    are_floats: bool
    name: str

    @classmethod
    def of(cls, picture: Picture, name: str) -> Values | None:
        """Those of a picture, or None if it has no more than 8 bits."""
        values = picture.values
        if values is None:
            return None
        high = values.max() if picture.stated_maximum is None else picture.stated_maximum
        return cls(float(values.min()), float(high), values.dtype.kind == "f", name)

    @classmethod
    def of_all(cls, parts: Iterable[Values | None]) -> Values | None:
        """Those of several parts together; None if no part has any."""
        known = [part for part in parts if part is not None]
        if not known:
            return None
        lows, highs, floats, names = zip(*known, strict=True)
        return cls(min(lows), max(highs), any(floats), names[int(np.argmax(highs))])


def find_range(values: Values | None, stated: ValueRange | None) -> ValueRange | None:
    """Find the values that become black and white: those stated, or else 0 and the maximum of the bit depth.

    Args:
        values: those of the dataset's pictures with more than 8 bits, or None if there are none.
        stated: `DatasetConfig.value_range`.

    Returns:
        the range, or None if there are no such pictures.

    Raises:
        DatasetUnusable: if the range has to be stated and is not.
    """
    if values is None:
        return None
    if stated is not None:
        return stated
    if values.are_floats or values.low < 0 or values.high > SIXTEEN_BITS:
        kind = "floating-point values" if values.are_floats else "values"
        raise DatasetUnusable(
            f"Pictures such as {values.name} have {kind} from {values.low:g} to {values.high:g}; set "
            "dataset.value_range (kedro experiment: --value-range) to the two values that become black and white, such "
            "as 0 and 1."
        )
    return 0, next(2**bits - 1 for bits in BIT_DEPTHS if values.high < 2**bits)

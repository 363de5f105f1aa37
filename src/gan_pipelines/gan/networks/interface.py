"""What goes into networks and comes out of them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class ImageShape(NamedTuple):
    """Channels, height and width of an image."""

    channels: int
    height: int
    width: int


class Judgement(NamedTuple):
    """What a discriminator says of a batch of N images."""

    logits: Tensor
    """(N,): the higher, the more real."""
    class_logits: Tensor | None = None
    """(N, classes), of discriminators with an auxiliary classifier."""

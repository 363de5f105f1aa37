"""Types of the inputs and outputs of networks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class ImageShape(NamedTuple):
    """Channels, height and width of an image."""

    channels: int
    height: int
    width: int


class Judgement(NamedTuple):
    """The output of a discriminator for a batch of N images."""

    logits: Tensor
    """(N,): higher for images that look more real."""
    class_logits: Tensor | None = None
    """(N, classes) from an auxiliary classifier, or None without one."""

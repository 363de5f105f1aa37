"""Where images come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from PIL import Image

from gan_pipelines.hashing import hash_arrays
from gan_pipelines.images.config import DatasetConfig, SourceName


class SourceItem(NamedTuple):
    """The split of an image and its class index."""

    split: str
    label: int


class ImageSource(Protocol):
    """Labelled pictures of any size and mode, read one by one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; an item's label is an index into them."""

    @property
    def items(self) -> Sequence[SourceItem]:
        """Split and label of each picture."""

    @property
    def fingerprint(self) -> str:
        """Hash of what the pictures come from: where it is the same, so are the pictures."""

    def read(self, index: int) -> Image.Image:
        """Decode the picture of one item."""


class DigitsSource:
    """The 1,797 handwritten digits that scikit-learn ships: 8x8, 16 grey levels, ten classes.

    Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits". They have no splits of their own: 70 % train,
    10 % valid and 20 % test, stratified by class, by a fixed seed.
    """

    def __init__(self) -> None:
        from sklearn.datasets import load_digits  # noqa: PLC0415 (takes a second)
        from sklearn.model_selection import train_test_split  # noqa: PLC0415

        digits = load_digits()
        self._pixels = (digits.images * (255 / 16)).round().astype(np.uint8)
        labels = digits.target
        rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
        train, valid = train_test_split(rest, test_size=0.125, stratify=labels[rest], random_state=0)
        splits = np.empty(len(labels), dtype=object)
        for name, members in {"train": train, "valid": valid, "test": test}.items():
            splits[members] = name
        self.class_names = tuple(map(str, digits.target_names))
        self.items = [SourceItem(split, int(label)) for split, label in zip(splits, labels, strict=True)]
        self.fingerprint = hash_arrays([self._pixels, labels, splits.astype(str)])

    def read(self, index: int) -> Image.Image:
        """Return one digit as an 8x8 grey picture."""
        return Image.fromarray(self._pixels[index])


SOURCES: Final[dict[SourceName, Callable[[DatasetConfig], ImageSource]]] = {
    "digits": lambda config: DigitsSource(),
}


def open_source(config: DatasetConfig) -> ImageSource:
    """Open the source that a configuration names."""
    return SOURCES[config.source](config)

"""From a source to an `ImageSet`: resize once, keep for good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_pipelines.hashing import hash_values
from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.images.image_set import IMAGES_FILE, ImageSet
from gan_pipelines.images.sources import ImageSource, open_source
from gan_pipelines.stores import KeyedStore

LAYOUT_VERSION = 1
"""Part of the key of every prepared set: raise it when the same settings begin to give other pixels."""
SPLIT_ORDER = ("train", "test", "valid")
"""Train and test, which some experiments train on together, lie side by side."""


def prepare_image_set(store: KeyedStore, config: DatasetConfig) -> ImageSet:
    """Return the images of a configuration, resizing them only if the store does not hold them yet."""
    source = open_source(config)
    key = hash_values(LAYOUT_VERSION, source.fingerprint, config.image_size, config.channels, config.resize_filter)
    return ImageSet.load(store.get_or_build(key, lambda folder: _write_image_set(source, config, folder)))


def _write_image_set(source: ImageSource, config: DatasetConfig, folder: Path) -> None:
    splits = [item.split for item in source.items]
    order = sorted(range(len(splits)), key=lambda index: SPLIT_ORDER.index(splits[index]))
    shape = (len(order), config.channels, config.image_size, config.image_size)
    images = np.lib.format.open_memmap(folder / IMAGES_FILE, mode="w+", dtype=np.uint8, shape=shape)
    for row, index in enumerate(order):
        images[row] = resize(source.read(index), config)
    images.flush()
    image_set = ImageSet(
        images=images,
        labels=np.array([source.items[index].label for index in order], dtype=np.int64),
        class_names=source.class_names,
        split_sizes={split: splits.count(split) for split in SPLIT_ORDER if split in splits},
        resize_filter=config.resize_filter,
    )
    image_set.save_description(folder)


def resize(picture: Image.Image, config: DatasetConfig) -> NDArray[np.uint8]:
    """Bring a picture to (C, image_size, image_size) uint8."""
    mode = "L" if config.channels == 1 else "RGB"
    size = (config.image_size, config.image_size)
    pixels = np.asarray(picture.convert(mode).resize(size, Image.Resampling[config.resize_filter.upper()]))
    return pixels.reshape(*size, config.channels).transpose(2, 0, 1)

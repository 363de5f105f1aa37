"""Decode pictures to 8-bit pixels; any format that Pillow opens."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.images.errors import BadImage

BACKGROUND = (255, 255, 255)
"""Colour behind transparent pixels."""


def read_picture(path: Path, size: int) -> Image.Image:
    """Open and decode a picture, rotated according to its EXIF orientation.

    Args:
        path: path of the file.
        size: size that the picture will be resized to; a JPEG more than twice as large is decoded at reduced scale.

    Raises:
        BadImage: if the file cannot be read, is no picture, is cut off, or has as many pixels as a decompression bomb.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.draft(None, (2 * size, 2 * size))
                picture.load()
                ImageOps.exif_transpose(picture, in_place=True)
                return picture
    except Exception as error:  # Pillow's plugins raise many kinds
        raise BadImage(f"{path} cannot be used: {_reason(path, error)}.") from error


def picture_size(path: Path) -> tuple[int, int] | None:
    """Read width and height from a file's header; None if the file is no picture or cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, Image.DecompressionBombError):
        return None


def to_pixels(picture: Image.Image, config: DatasetConfig) -> NDArray[np.uint8]:
    """Convert a picture to (C, image_size, image_size) uint8.

    The largest centred square is resized with an antialiased filter. Transparent pixels become white, and 16-bit grey
    becomes 8-bit.
    """
    flat, mode = _flatten(picture), "L" if config.channels == 1 else "RGB"
    if flat.mode != mode:  # Pillow would copy it
        flat = flat.convert(mode)
    size = (config.image_size, config.image_size)
    square = ImageOps.fit(flat, size, Image.Resampling[config.resize_filter.upper()])
    return np.asarray(square).reshape(*size, config.channels).transpose(2, 0, 1)


def _flatten(picture: Image.Image) -> Image.Image:
    """Convert 16-bit grey to 8-bit grey, and transparent pixels to white."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        background = Image.new("RGBA", opaque.size, (*BACKGROUND, 255))
        return Image.alpha_composite(background, opaque)
    return picture


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "it may not be read; change its permissions"
    if path.is_symlink() and not path.exists():
        return "it is a broken link; mend or remove it"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels, as a decompression bomb has; make it smaller"
    if path.exists() and path.stat().st_size == 0:
        return "it is empty; copy it again"
    if "truncated" in str(error) or "Truncated" in str(error):
        return "it is cut off; copy it again"
    return "it is no picture that Pillow can open; remove it, or set dataset.on_bad_image: skip"

"""Decode pictures to 8-bit pixels; most formats that Pillow opens."""

from __future__ import annotations

import errno
import re
import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from gan_pipelines.core.errors import first_line
from gan_pipelines.images.config import DatasetConfig, Fit
from gan_pipelines.images.errors import BadImage, UnreadFile
from gan_pipelines.images.formats import describe_content, known_formats

TEXT_BYTES = 2**26
"""Maximum size of a text or a colour profile in a PNG file; viewers ignore them, Pillow refuses above 1 MiB."""
PngImagePlugin.MAX_TEXT_CHUNK = TEXT_BYTES
PngImagePlugin.MAX_TEXT_MEMORY = 4 * TEXT_BYTES
BACKGROUND = (255, 255, 255)
"""Colour behind transparent pixels, and beside padded pictures."""
SIXTEEN_BITS = 2**16 - 1
TIFF_BITS, TIFF_PHOTOMETRY, TIFF_PLANES = 258, 262, 284
PASSING = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT)
"""Error numbers of a disk that fails, or of a process that lacks something: they say nothing about a file."""
LOW_GREY = "RGBA"
"""Layout that reads a 16-bit grey value and its opacity as four bytes: the second is the low byte of grey."""
REASONS: Final[Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str, str]]] = (
    (PermissionError, "", "it may not be read; change its permissions"),
    (IsADirectoryError, "", "it is no file, but a pipe, device or folder; remove it"),
    (FileNotFoundError, "", "there is no such file; put it back, or remove the link to it"),
    (
        (Image.DecompressionBombError, Image.DecompressionBombWarning),
        "",
        "it has more than {pixels:,} pixels, as a decompression bomb has; make it smaller",
    ),
    (MemoryError, "", "it needs more memory than there is; make it smaller"),
    (
        ValueError,
        "MAX_TEXT|Too much memory used in text",
        f"it holds a text or a colour profile of more than {TEXT_BYTES >> 20} MiB; save it without",
    ),
    ((EOFError, struct.error), "", "it is cut off; copy it again"),
    (
        Exception,
        "[Tt]runcated|EOF|[Uu]nexpected end|[Nn]ot enough|only got|buffer is not large enough",
        "it is cut off; copy it again",
    ),
    (NotImplementedError, "", "Pillow does not read this kind of picture ({words}); convert it to PNG"),
    (
        Exception,
        "[Uu]nsupported|[Uu]nknown|[Uu]nimplemented|not supported|unrecognized image mode|[Nn]ot implemented",
        "Pillow does not read this kind of picture ({words}); convert it to PNG",
    ),
)
"""Reasons why a file cannot be used: the type of Pillow's exception, words in its message, and what to say."""
COMPOSED = ("MPO", "PSD")
"""Formats whose further frames are views or layers of the first."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        image: the picture; of one with more than 8 bits, only size, bands and opacity are used.
        values: (H, W) or (H, W, 3) integers or floats of a picture with more than 8 bits, else None.
        stated_maximum: value that the file states as the maximum of its values, if it does.
        has_more: whether the file holds further frames or pages.
        is_negative: whether small ``values`` are bright.
    """

    image: Image.Image
    values: NDArray[np.generic] | None = None
    stated_maximum: int | None = None
    has_more: bool = False
    is_negative: bool = False


def read_picture(path: Path, size: int) -> Picture:
    """Open and decode a picture, rotated according to its EXIF orientation.

    Args:
        path: path of the file.
        size: size that the picture will be resized to; a JPEG at least four times as large is decoded at a reduced
            scale, at least twice that size.

    Raises:
        BadImage: if the file cannot be read, is no picture, is damaged, has values that are infinite or NaN, or has as
            many pixels as a decompression bomb.
    """
    try:
        with _open(path) as file:
            has_more = _has_more(file)
            file.draft(None, (2 * size, 2 * size))
            stated, low_tiles = _stated_maximum(file), _low_tiles(file)
            is_negative = file.format == "TIFF" and file.tag_v2.get(TIFF_PHOTOMETRY) == 0  # type: ignore[attr-defined]
            image = _load(file)
        low = None if low_tiles is None else _load_tiles(path, low_tiles)
    except Exception as error:  # Pillow's plugins raise many kinds
        is_passing = isinstance(error, MemoryError) or getattr(error, "errno", None) in PASSING
        kind = UnreadFile if is_passing else BadImage
        raise kind(f"{path} cannot be used: {_reason(path, error)}.") from error
    values = _deep_values(image, low)
    if values is not None and not np.isfinite(values).all():
        raise BadImage(f"{path} cannot be used: it has values that are infinite or NaN; replace them.")
    return Picture(image, values, stated, has_more, is_negative)


def picture_size(path: Path) -> tuple[int, int] | None:
    """Read width and height from a file's header; None if `read_picture` would refuse the file because of it."""
    try:
        with _open(path) as file:
            return file.size
    except Exception:  # read_picture says which
        return None


@contextmanager
def _open(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open a file in one of `FORMATS`, without Pillow's warnings about what is odd in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if path.exists() and not path.is_file():
            raise IsADirectoryError
        with Image.open(path, formats=known_formats()) as file:
            yield file


def _load(file: ImageFile.ImageFile) -> Image.Image:
    file.load()
    with suppress(Exception):  # a picture whose EXIF data are damaged stays as it is, as in a viewer
        ImageOps.exif_transpose(file, in_place=True)
    return file


def _has_more(file: ImageFile.ImageFile) -> bool:
    try:
        return file.format not in COMPOSED and getattr(file, "is_animated", False)
    except Exception:  # the second frame is damaged
        return True


def _stated_maximum(file: ImageFile.ImageFile) -> int | None:
    """The maximum that a 12-bit TIFF or a PGM states; Pillow scales the values of a PGM to 16 bits."""
    codec, rawmode = (file.tile[0].codec_name, _rawmode(file.tile[0])) if file.tile else ("", "")
    if file.mode == "I" and codec in ("ppm", "ppm_plain"):
        return SIXTEEN_BITS
    return 2**12 - 1 if rawmode == "I;12" else None


def _low_tiles(file: ImageFile.ImageFile) -> list[ImageFile._Tile] | None:
    """Tiles that read the low bytes of 16-bit colours, whose high bytes Pillow reads; None without such colours.

    Raises:
        NotImplementedError: if the colours stand in separate planes, of which Pillow misreads some.
    """
    if file.format not in ("PNG", "TIFF") or not file.tile:
        return None
    tags = getattr(file, "tag_v2", {})
    if tags.get(TIFF_PLANES) == 2 and max(tags.get(TIFF_BITS, (8,))) > 8:
        raise NotImplementedError("16-bit colours in separate planes")
    changed = [tile._replace(args=_with_rawmode(tile, _low_rawmode(_rawmode(tile)))) for tile in file.tile]
    return changed if _rawmode(changed[0]) else None


def _rawmode(tile: ImageFile._Tile) -> str:
    return str(tile.args[0] if isinstance(tile.args, tuple) else tile.args)


def _with_rawmode(tile: ImageFile._Tile, rawmode: str) -> tuple[object, ...] | str:
    return (rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode


def _low_rawmode(rawmode: str) -> str:
    """The layout that reads low bytes where ``rawmode`` reads high bytes, or an empty text."""
    bands, _, order = rawmode.partition(";16")
    if bands not in ("RGB", "RGBX", "RGBA") or not order:
        return LOW_GREY if rawmode == "LA;16B" else ""
    is_little = order == "L" or (order == "N" and sys.byteorder == "little")
    return f"{bands};16{'B' if is_little else 'L'}"


def _load_tiles(path: Path, tiles: list[ImageFile._Tile]) -> NDArray[np.uint8]:
    """The low bytes of 16-bit colours: (H, W, 3), or (H, W) of grey beside opacity."""
    with _open(path) as file:
        file.tile = tiles
        bands = np.asarray(_load(file))
    return bands[:, :, 1] if _rawmode(tiles[0]) == LOW_GREY else bands[:, :, :3]


def _deep_values(image: Image.Image, low: NDArray[np.uint8] | None) -> NDArray[np.generic] | None:
    if low is not None:
        high = np.asarray(image)[:, :, : 3 if low.ndim == 3 else 1].reshape(low.shape)
        return high.astype(np.uint16) << 8 | low
    return np.asarray(image) if image.mode.startswith(("I", "F")) else None


def to_pixels(picture: Picture, config: DatasetConfig) -> NDArray[np.uint8]:
    """Convert a picture to (C, image_size, image_size) uint8.

    ``config.fit`` states how it becomes square; it is resized with an antialiased filter. Transparent pixels become
    white. Values of more than 8 bits become levels by ``config.value_range``, without which 65,535 is white.
    """
    flat, mode = _flatten(_to_levels(picture, config.value_range)), "L" if config.channels == 1 else "RGB"
    if flat.mode != mode:  # Pillow would copy it
        flat = flat.convert(mode)
    size = (config.image_size, config.image_size)
    square = _make_square(flat, size, config.fit, Image.Resampling[config.resize_filter.upper()])
    return np.asarray(square).reshape(*size, config.channels).transpose(2, 0, 1)


def _to_levels(picture: Picture, value_range: tuple[float, float] | None) -> Image.Image:
    if picture.values is None:
        return picture.image
    low, high = value_range or (0, SIXTEEN_BITS)
    if picture.is_negative:
        low, high = high, low
    levels = (picture.values.astype(np.float32) - low) * (255 / (high - low))
    image = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    if "A" in picture.image.getbands():
        image.putalpha(picture.image.getchannel("A"))
    return image


def _flatten(image: Image.Image) -> Image.Image:
    """Convert transparent pixels to white, and CIELAB, which Pillow converts to nothing else, to RGB."""
    if image.mode == "LAB":
        return image.convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        background = Image.new("RGBA", opaque.size, (*BACKGROUND, 255))
        return Image.alpha_composite(background, opaque)
    return image


def _make_square(image: Image.Image, size: tuple[int, int], fit: Fit, resampling: Image.Resampling) -> Image.Image:
    if fit == "stretch":
        return image.resize(size, resampling)
    if fit == "pad":
        return ImageOps.pad(image, size, resampling, color=BACKGROUND[: len(image.getbands())])
    return ImageOps.fit(image, size, resampling)


def _reason(path: Path, error: Exception) -> str:
    """Why a file cannot be used, and what to do."""
    if path.is_symlink() and not path.exists():
        return "it is a broken link; mend or remove it"
    if isinstance(error, UnidentifiedImageError):
        return describe_content(path)
    words = first_line(error)
    for kinds, pattern, reason in REASONS:
        if isinstance(error, kinds) and re.search(pattern, words):
            return reason.format(words=words, pixels=Image.MAX_IMAGE_PIXELS)
    if isinstance(error, OSError) and error.errno is not None:
        return f"it cannot be read ({error.strerror}); check the disk, or copy it again"
    return f"it is damaged ({words}); copy it again"

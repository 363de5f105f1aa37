"""Formats of pictures, known by suffix or by content."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from os.path import isfile, splitext  # of many thousands of files: faster than Path
from pathlib import Path
from typing import Final

from PIL import Image

with suppress(ImportError):  # an optional plugin
    from pillow_heif import register_heif_opener

    register_heif_opener()

FORMATS: Final = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "MPO", "PPM", "QOI", "TGA", "PSD"),
    *("ICO", "ICNS", "CUR", "DIB", "DDS", "SGI", "PCX", "DCX", "SUN", "MSP", "XBM", "XPM", "IM", "BLP", "FTEX"),
    *("FITS", "FLI", "GBR", "PCD", "PIXAR", "SPIDER"),
)
"""Pillow's formats that are read. Some others run another program (EPS, WMF), some Pillow cannot decode (HDF5)."""
PROGRAM_FORMATS: Final = ("EPS", "WMF")
HEIC_SUFFIXES: Final = (".heic", ".heif", ".hif")
SIGNATURES: Final = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM....\0\0\0\0",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "AVIF": rb"....ftypavi[fs]",
    "HEIC": rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)",
    "JPEG 2000": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ",
    "PPM": rb"P[1-6]\s",
    "QOI": rb"qoif",
    "PSD": rb"8BPS",
    "DDS": rb"DDS ",
    "ICNS": rb"icns",
    "SGI": rb"\x01\xda[\0\x01][\x01\x02]",
}
"""First bytes of picture formats that no text and hardly any other file begins with."""
UNREAD: Final = {
    "an EPS or PostScript file": rb"%!PS|\xc5\xd0\xd3\xc6",
    "a WMF file": rb"\xd7\xcd\xc6\x9a|\x01\0\x09\0\0\x03",
    "an EMF file": rb"\x01\0\0\0.{36} EMF",
    "a PDF file": rb"%PDF",
    "a web page": rb"\s*<(!doctype html|!DOCTYPE html|html|HTML|head)",
    "an SVG or XML file": rb"\s*<(\?xml|svg)",
    "a JPEG XL file": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "an OpenEXR file": rb"\x76\x2f\x31\x01",
    "a DICOM file": rb".{128}DICM",
    "an HDF5 file": rb"\x89HDF",
    "a ZIP archive": rb"PK\x03\x04",
    "a gzip archive": rb"\x1f\x8b",
}
"""First bytes of files that are no pictures, or pictures that are not read."""
PREFIX_BYTES = 132


def is_picture(path: str) -> bool:
    """Whether a file is meant as a picture: by its suffix, or else by its first bytes. An unreadable file is none."""
    suffix = splitext(path)[1].lower()  # noqa: PTH122
    if suffix in _known_suffixes():
        return True
    kind = _find(SIGNATURES, _read_prefix(path))
    # Raw files of cameras and microscopes are TIFF, but their first picture is often a thumbnail.
    return kind is not None and (kind != "TIFF" or not suffix.strip(".0123456789"))


def is_hidden_picture(name: str) -> bool:
    """Whether a file that is hidden, or in a hidden folder, has a picture's suffix, and is none that macOS adds."""
    return not name.startswith("._") and splitext(name)[1].lower() in _known_suffixes()  # noqa: PTH122


@cache
def _known_suffixes() -> frozenset[str]:
    suffixes = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in suffixes if name in FORMATS + PROGRAM_FORMATS).union(HEIC_SUFFIXES)


def _read_prefix(path: str | Path) -> bytes:
    if not isfile(path):  # noqa: PTH113 (opening a pipe would wait for ever)
        return b""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(PREFIX_BYTES)
    except OSError:
        return b""


def _find(patterns: dict[str, bytes], prefix: bytes) -> str | None:
    return next((name for name, pattern in patterns.items() if re.match(pattern, prefix, re.DOTALL)), None)


@cache
def known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that the installed Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def describe_content(path: Path) -> str:
    """Why Pillow recognises no picture in a file, and what to do."""
    prefix = _read_prefix(path)
    if not prefix:
        return "it is empty; copy it again"
    if unread := _find(UNREAD, prefix):
        return f"it is {unread}, which is not read; convert it to PNG, or remove it"
    kind = _find(SIGNATURES, prefix)
    if kind == "HEIC" and "HEIF" not in known_formats():
        return "it is a HEIC picture; pip install 'gan_pipelines[heif]' adds what reads it"
    if kind is not None:
        return f"it begins as {kind}, but its header is damaged or cut off; copy it again"
    return "it is no picture that Pillow can open; remove it, or set dataset.on_bad_image: skip"

"""Files as real folders hold them: every format, mode and depth; odd and damaged ones; and files of other kinds."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 24


@dataclass(frozen=True)
class Odd:
    """A file of a kind.

    Attributes:
        suffix: of its name.
        content: its bytes.
        levels: (H, W) or (H, W, 3) levels from 0 to 255 that its pixels stand for; None if it is refused.
        tolerance: maximum difference from these levels.
        sentence: why it is refused, or an empty text.
    """

    suffix: str
    content: bytes
    levels: NDArray[np.float64] | None = None
    tolerance: float = 1.0
    sentence: str = ""


def smooth(seed: int = 0, bands: int = 3, size: int = SIZE) -> NDArray[np.float64]:
    """Waves from 0 to 1 that differ by seed and band, both ends included: (size, size, bands)."""
    rows, columns = np.mgrid[0:size, 0:size] / size
    phases = np.random.default_rng(seed).uniform(0, 6, (3, bands))
    waves = np.stack([np.sin(4 * rows + a) + np.cos(5 * columns + b) for a, b, _ in phases.T], axis=2)
    return (waves - waves.min()) / np.ptp(waves)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode with Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def to_bytes(pixels: NDArray[np.float64]) -> Image.Image:
    """An 8-bit picture of values from 0 to 1."""
    return Image.fromarray((pixels * 255).round().astype(np.uint8).squeeze())


def png(values: NDArray[np.uint16], extra: bytes = b"") -> bytes:
    """A 16-bit PNG of (H, W, bands): grey, grey and opacity, RGB, or RGBA."""
    height, width, bands = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def tiff(
    values: NDArray[np.generic], *, order: str = "<", packed: bool = False, planar: bool = False, black: int = 1
) -> bytes:
    """A TIFF of (H, W, bands) with one strip for each plane.

    Args:
        values: any integer or float type.
        order: ``<`` (Intel) or ``>`` (Motorola).
        packed: whether the strips are compressed.
        planar: whether each band is a plane of its own.
        black: 1 if 0 is black, 0 if 0 is white.
    """
    height, width, bands = values.shape
    planes = [values[:, :, band] for band in range(bands)] if planar else [values]
    strips = [np.ascontiguousarray(plane).astype(values.dtype.newbyteorder(order)).tobytes() for plane in planes]
    strips = [zlib.compress(strip) if packed else strip for strip in strips]
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [8 * values.dtype.itemsize] * bands),
        259: ("H", [8 if packed else 1]),
        262: ("H", [2 if bands > 2 else black]),
        273: ("I", [0] * len(strips)),
        277: ("H", [bands]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if planar else 1]),
        339: ("H", [kind] * bands),
    }
    if bands == 4:
        entries[338] = ("H", [2])
    return _assemble(entries, strips, order)


def _assemble(entries: dict[int, tuple[str, list[int]]], strips: list[bytes], order: str) -> bytes:
    first = 8 + 2 + 12 * len(entries) + 4
    arrays = {tag: struct.pack(order + kind * len(values), *values) for tag, (kind, values) in entries.items()}
    places, place = {}, first
    for tag, array in arrays.items():
        places[tag], place = place, place + len(array) * (len(array) > 4)
    offsets = [place + sum(map(len, strips[:number])) for number in range(len(strips))]
    arrays[273] = struct.pack(order + "I" * len(offsets), *offsets)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, len(entries))
    for tag in sorted(entries):
        kind, values = entries[tag]
        inline = arrays[tag].ljust(4, b"\0") if len(arrays[tag]) <= 4 else struct.pack(order + "I", places[tag])
        head += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + inline
    body = b"".join(array for array in arrays.values() if len(array) > 4)
    return head + struct.pack(order + "I", 0) + body + b"".join(strips)


def twelve_bit_tiff(values: NDArray[np.uint16]) -> bytes:
    """A TIFF that states 12 bits and packs two values into three bytes; an even width."""
    flat = values.ravel().astype(np.uint32)
    pairs = flat[::2] << 12 | flat[1::2]
    strip = np.stack([pairs >> 16, pairs >> 8 & 255, pairs & 255], axis=1).astype(np.uint8).tobytes()
    height, width = values.shape[:2]
    entries = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [12]),
        259: ("H", [1]),
        262: ("H", [1]),
        273: ("I", [0]),
        277: ("H", [1]),
        278: ("I", [height]),
        279: ("I", [len(strip)]),
    }
    return _assemble(entries, [strip], "<")


def depths(seed: int = 0, bits: int = 16) -> dict[str, Odd]:
    """Files with values of ``bits`` in containers of 16 bits; the brightest value is the maximum.

    Folders of one entry each: mixed, they would share the range of the largest.
    """
    grey, colour, clear = (smooth(seed, bands) for bands in (1, 3, 4))
    clear[:, :, 3] = 1
    scale = 2**bits - 1

    def deep(pixels: NDArray[np.float64], bands: int) -> NDArray[np.uint16]:
        values = (pixels * scale).round().astype(np.uint16)
        if bands in (2, 4):
            values[:, :, -1] = 65535
        return values

    two = np.concatenate([grey, grey], axis=2)
    grey_levels, colour_levels, clear_levels = grey[:, :, 0] * 255, colour * 255, clear[:, :, :3] * 255
    return {
        "grey PNG": Odd(".png", png(deep(grey, 1)), grey_levels),
        "grey PNG with opacity": Odd(".png", png(deep(two, 2)), grey_levels),
        "colour PNG": Odd(".png", png(deep(colour, 3)), colour_levels),
        "colour PNG with opacity": Odd(".png", png(deep(clear, 4)), clear_levels),
        "grey TIFF": Odd(".tif", tiff(deep(grey, 1)), grey_levels),
        "grey TIFF, Motorola": Odd(".tif", tiff(deep(grey, 1), order=">"), grey_levels),
        "grey TIFF, compressed": Odd(".tif", tiff(deep(grey, 1), packed=True), grey_levels),
        "grey TIFF, white is 0": Odd(".tif", tiff(scale - deep(grey, 1), black=0), grey_levels, 1),
        "grey TIFF, 32 bits": Odd(".tif", tiff(deep(grey, 1).astype(np.int32)), grey_levels),
        "colour TIFF": Odd(".tif", tiff(deep(colour, 3)), colour_levels),
        "colour TIFF, Motorola": Odd(".tif", tiff(deep(colour, 3), order=">"), colour_levels),
        "colour TIFF, compressed": Odd(".tif", tiff(deep(colour, 3), packed=True), colour_levels),
        "colour TIFF with opacity": Odd(".tif", tiff(deep(clear, 4)), clear_levels),
        "PGM": Odd(".pgm", b"P5 24 24 65535\n" + deep(grey, 1).astype(">u2").tobytes(), grey_levels),
    }


def eight_bit(seed: int = 0) -> dict[str, Odd]:
    """Files that are read as they are: formats and modes with 8 bits and fewer, and harmless oddities."""
    grey, colour = smooth(seed, 1), smooth(seed, 3)
    levels, grey_levels = colour * 255, grey[:, :, 0] * 255
    rgb, shades = to_bytes(colour), to_bytes(grey)
    half = Image.merge("RGBA", [*rgb.split(), Image.new("L", rgb.size, 51)])
    faded = 0.2 * levels + 0.8 * 255
    text = b"words\0\0" + zlib.compress(bytes(3 * 2**19))
    profile = b"profile\0\0" + zlib.compress(bytes(3 * 2**19))
    deep = (grey * 4095).round().astype(np.uint16)
    dark = (grey * 1000).round().astype(np.uint16)
    files = {
        "PNG": Odd(".png", encode(rgb, "PNG"), levels),
        "PNG, upper case": Odd(".PNG", encode(rgb, "PNG"), levels),
        "grey PNG": Odd(".png", encode(shades, "PNG"), grey_levels),
        "PNG with opacity": Odd(".png", encode(half, "PNG"), faded, 2),
        "PNG with a palette": Odd(".png", encode(rgb.quantize(256), "PNG"), levels, 60),
        "bilevel PNG": Odd(".png", encode(shades.point(lambda level: 255 * (level > 99), "1"), "PNG"), None, 0),
        "16-bit grey PNG": Odd(".png", png((grey * 65535).round().astype(np.uint16)), grey_levels),
        "PNG with 1.5 MB of text": Odd(".png", with_chunk(encode(rgb, "PNG"), b"zTXt", text), levels),
        "PNG with a colour profile of 1.5 MB": Odd(".png", with_chunk(encode(rgb, "PNG"), b"iCCP", profile), levels),
        "JPEG": Odd(".jpg", encode(rgb, "JPEG", quality=95), levels, 16),
        "JPEG, CMYK": Odd(".jpg", encode(rgb.convert("CMYK"), "JPEG", quality=95), levels, 16),
        "JPEG with broken EXIF": Odd(".jpg", encode(rgb, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff"), levels, 16),
        "JPEG upside down, with EXIF that cannot be written again": Odd(
            ".jpg", encode(rgb, "JPEG", quality=95, exif=UPSIDE_DOWN), levels[::-1, ::-1], 16
        ),
        "JPEG called PNG": Odd(".png", encode(rgb, "JPEG", quality=95), levels, 16),
        "TIFF, CMYK": Odd(".tif", encode(rgb.convert("CMYK"), "TIFF"), levels, 2),
        "TIFF, LZW": Odd(".tif", encode(rgb, "TIFF", compression="tiff_lzw"), levels),
        "TIFF of 12 bits that is dark": Odd(".tif", twelve_bit_tiff(dark), dark[:, :, 0] * (255 / 4095)),
        "PGM of 12 bits that is dark": Odd(
            ".pgm", b"P5 24 24 4095\n" + dark.astype(">u2").tobytes(), dark[:, :, 0] * (255 / 4095)
        ),
        "PGM of 12 bits": Odd(".pgm", b"P5 24 24 4095\n" + deep.astype(">u2").tobytes(), grey_levels),
        "GIF": Odd(".gif", encode(shades, "GIF"), grey_levels),
        "BMP": Odd(".bmp", encode(rgb, "BMP"), levels),
        "WebP": Odd(".webp", encode(rgb, "WEBP", lossless=True), levels),
        "AVIF": Odd(".avif", encode(rgb, "AVIF", quality=95), levels, 16),
        "JPEG 2000": Odd(".jp2", encode(rgb, "JPEG2000"), levels),
        "ICO": Odd(".ico", encode(rgb, "ICO", sizes=[rgb.size]), levels),
        **{
            kind: Odd(f".{kind.lower()}", encode(rgb, kind), levels)
            for kind in ("TGA", "PCX", "PPM", "QOI", "SGI", "DDS", "IM")
        },
    }
    files["bilevel PNG"] = Odd(".png", files["bilevel PNG"].content, 255.0 * (np.asarray(shades) > 99))
    return files


def several_frames(seed: int = 0) -> dict[str, Odd]:
    """Files of two frames or pages; their levels are those of the first."""
    first, second = (smooth(seed + number, 1) for number in (0, 1))
    levels, more = first[:, :, 0] * 255, {"save_all": True, "append_images": [to_bytes(second)]}
    return {
        "animated GIF": Odd(".gif", encode(to_bytes(first), "GIF", **more), levels),
        "animated PNG": Odd(".png", encode(to_bytes(first), "PNG", **more), levels),
        "animated WebP": Odd(".webp", encode(to_bytes(first), "WEBP", lossless=True, **more), levels),
        "animated AVIF": Odd(".avif", encode(to_bytes(first), "AVIF", quality=95, **more), levels, 16),
        "TIFF of two pages": Odd(".tif", encode(to_bytes(first), "TIFF", **more), levels),
    }


def with_chunk(content: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with another chunk after its header."""
    return content[:33] + chunk(kind, data) + content[33:]


def refused(seed: int = 0) -> dict[str, Odd]:
    """Files that cannot be used, each with the reason."""
    colour = smooth(seed, 3)
    rgb = to_bytes(colour)
    deep = (colour * 65535).astype(np.uint16)
    spoilt = smooth(seed, 1).astype(np.float32)
    spoilt[3, 4] = np.nan
    whole = {kind: encode(rgb, kind) for kind in ("PNG", "AVIF", "DDS", "SGI")}
    texts = with_chunk(whole["PNG"], b"zTXt", b"words\0\0" + zlib.compress(bytes(2**26 + 1)))
    dds = bytearray(whole["DDS"])
    dds[80:92] = struct.pack("<I4sI", 4, b"JUNK", 0)
    convert = "which is not read; convert it to PNG, or remove it"
    sentences = {
        "empty": (".png", b"", "it is empty; copy it again"),
        "text": (".png", b"not a picture", "it is no picture that Pillow can open; remove it, or set"),
        "PPM of two bytes": (".ppm", b"P6", "it is cut off; copy it again"),
        "cut off PNG": (".png", whole["PNG"][: len(whole["PNG"]) // 2], "it is cut off; copy it again"),
        "PNG with a damaged header": (
            ".png",
            whole["PNG"][:20] + whole["PNG"][30:],
            "it begins as PNG, but its header",
        ),
        "damaged AVIF": (".avif", whole["AVIF"][:-99] + bytes(99), "it is damaged ("),
        "cut off AVIF": (".avif", whole["AVIF"][:200], "it begins as AVIF, but its header is damaged or cut off"),
        "DDS of an unknown kind": (".dds", bytes(dds), "Pillow does not read this kind of picture (Unimplemented"),
        "cut off SGI": (".sgi", whole["SGI"][:700], "it is cut off; copy it again"),
        "PNG with 64 MiB of text": (".png", texts, "it holds a text or a colour profile of more than 64 MiB"),
        "EPS": (".eps", encode(rgb, "EPS"), f"it is an EPS or PostScript file, {convert}"),
        "EPS called JPEG": (".jpg", encode(rgb, "EPS"), f"it is an EPS or PostScript file, {convert}"),
        "WMF": (".wmf", b"\xd7\xcd\xc6\x9a" + bytes(40), f"it is a WMF file, {convert}"),
        "web page": (".jpg", b"<!DOCTYPE html><p>404", f"it is a web page, {convert}"),
        "PDF called PNG": (".png", encode(rgb, "PDF"), f"it is a PDF file, {convert}"),
        "HEIC": (".heic", HEIC, "it is a HEIC picture; pip install 'gan_pipelines[heif]' adds what reads it"),
        "TIFF of 16-bit planes": (".tif", tiff(deep, planar=True), "Pillow does not read this kind of picture (16-bit"),
        "values that are NaN": (".tif", tiff(spoilt), "it has values that are infinite or NaN; replace them"),
    }
    return {kind: Odd(suffix, content, sentence=reason) for kind, (suffix, content, reason) in sentences.items()}


UPSIDE_DOWN = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\2"
    b"\x01\x12\0\3\0\0\0\1\0\3\0\0"  # orientation 3
    b"\x01\x1f\0\2\0\0\0\5\0\0\0\x26"  # a text where a number belongs
    b"\0\0\0\0Make\0"
)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)

"""From a source to an `ImageSet`: images are decoded and resized once, on all cores, and kept in a store."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gan_pipelines.core.hashing import hash_images, hash_values
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.images.decoding import to_pixels
from gan_pipelines.images.duplicates import find_duplicates, make_thumbnails
from gan_pipelines.images.errors import BadImage, DatasetUnusable, UnreadFile
from gan_pipelines.images.formats import known_formats
from gan_pipelines.images.image_set import IMAGES_FILE, ImageSet
from gan_pipelines.images.listing import SPLITS
from gan_pipelines.images.sources import ImageSource, open_source
from gan_pipelines.images.value_range import PROVISIONAL_RANGE, Values, find_range

LAYOUT_VERSION = 7
"""Version of a prepared set, part of its key. Raise it when pixels or files change for the same settings.

7: JPEGs of ``kedro score`` without ``--size`` are decoded at their own size, not at an eighth of it.
"""
CHUNK = 128
"""Number of images that a process decodes at a time; it bounds the memory."""


FINGERPRINTS = ".fingerprints"
FINGERPRINT_FILE = "fingerprint"


class Chunk(NamedTuple):
    """Decoded images whose pixels are in the file already.

    Attributes:
        first: row of the file at which their pixels begin.
        indices: index of each image in the source.
        hashes: (N, 32) uint8, as returned by `hash_images`.
        thumbnails: (N, T) float32, as returned by `make_thumbnails`.
        skipped: reasons why other images of the chunk were skipped.
        first_frames: names of files of which only the first frame was read.
        values: of the pictures with more than 8 bits, or None if there are none.
        levels: smallest and largest level.
    """

    first: int
    indices: list[int]
    hashes: NDArray[np.uint8]
    thumbnails: NDArray[np.float32]
    skipped: list[str]
    first_frames: list[str]
    values: Values | None
    levels: tuple[int, int]


def prepare_image_set(store: KeyedStore, config: DatasetConfig) -> ImageSet:
    """Return the images of a dataset; decode them only if the store does not hold them yet.

    Args:
        store: images of earlier calls.
        config: the source, and how its images are prepared.

    Raises:
        DatasetUnusable: if the source is missing or lacks images, no image of a class and split can be used, or a range
            of values has to be stated and is not, or is stated for pictures of 8 bits.
        BadImage: if an image cannot be decoded and ``on_bad_image`` is ``error``; if disk or memory failed.
    """
    image_set = prepare_pictures(store, config, open_source(config))
    if config.value_range is not None and image_set.value_range is None:
        raise DatasetUnusable(
            f"dataset.value_range is {list(config.value_range)}, but no picture has more than 8 bits; remove the "
            "setting."
        )
    return image_set


def prepare_pictures(store: KeyedStore, config: DatasetConfig, source: ImageSource) -> ImageSet:
    """Return the pictures of a source, prepared as those of a dataset; raises what `prepare_image_set` does.

    Pictures of 8 bits ignore the range of values.
    """
    key = _key(store, source, config)
    folder = store.get_or_build(key, lambda folder: _write_image_set(source, config, folder))
    return replace(ImageSet.load(folder), left_out=source.left_out)  # such files do not change the key


def bytes_to_prepare(store: KeyedStore, source: ImageSource, config: DatasetConfig) -> int:
    """Estimate the bytes that `prepare_image_set` writes: 0 if the store holds the images."""
    needed = len(source.items) * config.channels * config.image_size**2
    return 0 if _key(store, source, config) in store else needed


def _key(store: KeyedStore, source: ImageSource, config: DatasetConfig) -> str:
    settings = (config.image_size, config.channels, config.resize_filter, config.fit, config.value_range)
    readable = known_formats() if config.on_bad_image == "skip" else ()  # others are left out
    return hash_values(LAYOUT_VERSION, _fingerprint(store, source), config.on_bad_image, *settings, *readable)


def _fingerprint(store: KeyedStore, source: ImageSource) -> str:
    """The source's fingerprint; that of files is kept by their stamps, so that they are hashed once."""
    if source.is_in_memory:
        return source.compute_fingerprint()

    def write(folder: Path) -> None:
        (folder / FINGERPRINT_FILE).write_text(source.compute_fingerprint())

    entry = KeyedStore(store.root / FINGERPRINTS).get_or_build(source.stamp, write)
    return (entry / FINGERPRINT_FILE).read_text()


def _write_image_set(source: ImageSource, config: DatasetConfig, folder: Path) -> None:
    order = sorted(range(len(source.items)), key=lambda index: SPLITS.index(source.items[index].split))
    shape = (config.channels, config.image_size, config.image_size)
    rows = _Rows.create(folder / IMAGES_FILE, len(order), shape)
    chunks = _decode(_Decoder(source, config, rows), order)
    values = Values.of_all(chunk.values for chunk in chunks)
    value_range = find_range(values, config.value_range)
    if value_range not in (None, PROVISIONAL_RANGE, config.value_range):
        chunks = _decode(_Decoder(source, replace(config, value_range=value_range), rows), order)
    indices = [index for chunk in chunks for index in chunk.indices]
    _require_all_classes(source, indices)
    rows.close_gaps((chunk.first, len(chunk.indices)) for chunk in chunks)
    images = np.load(folder / IMAGES_FILE, mmap_mode="r")
    hashes = np.concatenate([chunk.hashes for chunk in chunks])
    thumbnails = np.concatenate([chunk.thumbnails for chunk in chunks])
    sizes = Counter(source.items[index].split for index in indices)
    split_sizes = {split: sizes[split] for split in SPLITS if sizes[split]}
    names = tuple(source.name(index) for index in indices)
    ImageSet(
        images=images,
        image_hashes=hashes,
        labels=np.array([source.items[index].label for index in indices], dtype=np.int64),
        class_names=source.class_names,
        split_sizes=split_sizes,
        resize_filter=config.resize_filter,
        fit=config.fit,
        value_range=value_range,
        levels=(min(chunk.levels[0] for chunk in chunks), max(chunk.levels[1] for chunk in chunks)),
        names=names,
        thumbnails=thumbnails,
        first_frames=tuple(name for chunk in chunks for name in chunk.first_frames),
        skipped=tuple(reason for chunk in chunks for reason in chunk.skipped),
        duplicates=find_duplicates(images, hashes, thumbnails, split_sizes, names),
    ).save_description(folder)


def _require_all_classes(source: ImageSource, indices: Sequence[int]) -> None:
    lost = {*source.items} - {source.items[index] for index in indices}
    if lost:
        split, label = min(lost)
        raise DatasetUnusable(
            f"No picture of class {source.class_names[label]} in the {split} split could be used; add good ones, or "
            "remove the class."
        )


@dataclass(frozen=True)
class _Rows:
    """A uint8 NumPy file to which several processes write, each its own rows: no pixels are sent between processes."""

    path: Path
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def create(cls, path: Path, count: int, shape: tuple[int, ...]) -> _Rows:
        with path.open("wb") as file:
            offset = _write_header(file, (count, *shape))
            file.truncate(offset + count * math.prod(shape))
        return cls(path, shape, offset)

    def write(self, first: int, pixels: NDArray[np.uint8]) -> None:
        """Write pixels (N, *shape) into the rows from ``first`` on."""
        with self.path.open("r+b") as file:
            file.seek(self.offset + first * math.prod(self.shape))
            file.write(pixels.data)

    def close_gaps(self, pieces: Iterable[tuple[int, int]]) -> None:
        """Move pieces, each given by first row and number of rows, together and cut the file off after the last."""
        size, count = math.prod(self.shape), 0
        with self.path.open("r+b") as file:
            for first, rows in pieces:
                if first != count:
                    file.seek(self.offset + first * size)
                    content = file.read(rows * size)
                    file.seek(self.offset + count * size)
                    file.write(content)
                count += rows
            file.truncate(self.offset + count * size)
            file.seek(0)
            _write_header(file, (count, *self.shape))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Write NumPy's header and return its length, which NumPy pads to the same length for fewer rows."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.tell()


def _decode(decoder: _Decoder, order: Sequence[int]) -> list[Chunk]:
    """Decode and resize all images, on all cores; return the chunks in order."""
    firsts = range(0, len(order), CHUNK)
    helpers = min((os.cpu_count() or 1) - 1, len(firsts) // 4)
    with tqdm(total=len(order), unit="img", desc="preparing images", disable=None) as bar:
        if decoder.source.is_in_memory or not helpers:
            return [_advance(bar, decoder.decode(first, order[first : first + CHUNK])) for first in firsts]
        with ProcessPoolExecutor(helpers, get_context("spawn"), _start_helper, (decoder,)) as pool:
            try:
                futures = [pool.submit(_decode_in_helper, first, order[first : first + CHUNK]) for first in firsts]
                # This process decodes too, from the end: the others take a while to start.
                own = []
                while futures and futures[-1].cancel():
                    first = firsts[len(futures) - 1]
                    own.append(_advance(bar, decoder.decode(first, order[first : first + CHUNK])))
                    futures.pop()
                return [*(_advance(bar, future.result()) for future in futures), *reversed(own)]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _advance(bar: tqdm[NoReturn], chunk: Chunk) -> Chunk:
    bar.update(len(chunk.indices) + len(chunk.skipped))
    return chunk


@dataclass(frozen=True)
class _Decoder:
    """Everything that a process needs to decode a chunk."""

    source: ImageSource
    config: DatasetConfig
    rows: _Rows

    def decode(self, first: int, indices: Sequence[int]) -> Chunk:
        """Decode images and write their pixels into the rows from ``first`` on."""
        pixels = np.empty((len(indices), *self.rows.shape), np.uint8)
        kept: list[int] = []
        skipped: list[str] = []
        first_frames: list[str] = []
        values: Values | None = None
        for index in indices:
            try:
                picture = self.source.read(index, self.config.image_size)
            except BadImage as error:
                if self.config.on_bad_image == "error" or isinstance(error, UnreadFile):
                    raise
                skipped.append(str(error))
                continue
            name = self.source.name(index)
            pixels[len(kept)] = to_pixels(picture, self.config)
            kept.append(index)
            values = Values.of_all([values, Values.of(picture, name)])
            first_frames += [name] * picture.has_more
        pixels = pixels[: len(kept)]
        self.rows.write(first, pixels)
        levels = int(pixels.min(initial=255)), int(pixels.max(initial=0))
        return Chunk(first, kept, hash_images(pixels), make_thumbnails(pixels), skipped, first_frames, values, levels)


_decoder: _Decoder
"""Decoder of a helper process, sent once instead of with every chunk."""


def _start_helper(decoder: _Decoder) -> None:
    global _decoder  # noqa: PLW0603
    _decoder = decoder


def _decode_in_helper(first: int, indices: Sequence[int]) -> Chunk:
    return _decoder.decode(first, indices)

"""From a source to an `ImageSet`: decode and resize once, on all cores, keep for good."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gan_pipelines.hashing import hash_images, hash_values
from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.images.decoding import to_pixels
from gan_pipelines.images.duplicates import find_duplicates, make_thumbnails
from gan_pipelines.images.errors import BadImage, DatasetUnusable
from gan_pipelines.images.image_set import IMAGES_FILE, ImageSet
from gan_pipelines.images.sources import SPLITS, ImageSource, open_source
from gan_pipelines.stores import KeyedStore

LAYOUT_VERSION = 3
"""Part of the key of every prepared set: raise it when the same settings begin to give other pixels."""
CHUNK = 128
"""Images that a process decodes at a time; with a few chunks under way for each, memory stays bounded."""
CHUNKS_PER_PROCESS = 3


class Chunk(NamedTuple):
    """Decoded images.

    Attributes:
        indices: of each in the source.
        pixels: (N, C, H, W).
        hashes: (N, 32).
        thumbnails: (N, T), for the search for duplicates.
        skipped: why the others were left out.
    """

    indices: list[int]
    pixels: NDArray[np.uint8]
    hashes: NDArray[np.uint8]
    thumbnails: NDArray[np.float32]
    skipped: list[str]


def prepare_image_set(store: KeyedStore, config: DatasetConfig) -> ImageSet:
    """Return the images of a configuration, decoding them only if the store does not hold them yet.

    Raises:
        DatasetUnusable: if the source is not there or lacks images, or a split has lost a class to bad ones.
        BadImage: if an image cannot be decoded and ``on_bad_image`` is ``error``.
    """
    source = open_source(config)
    key = _key(source, config)
    return ImageSet.load(store.get_or_build(key, lambda folder: _write_image_set(source, config, folder)))


def bytes_to_prepare(store: KeyedStore, source: ImageSource, config: DatasetConfig) -> int:
    """How much `prepare_image_set` will write: nothing if the store holds the images."""
    needed = len(source.items) * config.channels * config.image_size**2
    return 0 if _key(source, config) in store else needed


def _key(source: ImageSource, config: DatasetConfig) -> str:
    settings = (config.image_size, config.channels, config.resize_filter, config.on_bad_image)
    return hash_values(LAYOUT_VERSION, source.fingerprint, *settings)


def _write_image_set(source: ImageSource, config: DatasetConfig, folder: Path) -> None:
    order = sorted(range(len(source.items)), key=lambda index: SPLITS.index(source.items[index].split))
    shape = (config.channels, config.image_size, config.image_size)
    described: list[Chunk] = []
    with (folder / IMAGES_FILE).open("wb") as file:
        _write_header(file, (len(order), *shape))
        with tqdm(total=len(order), unit="img", desc="preparing images", disable=None) as bar:
            for chunk in _decode(source, order, config):
                file.write(chunk.pixels.data)
                described.append(chunk._replace(pixels=chunk.pixels[:0].copy()))
                bar.update(len(chunk.indices) + len(chunk.skipped))
        file.seek(0)
        rows = [index for chunk in described for index in chunk.indices]
        _write_header(file, (len(rows), *shape))
    _require_all_classes(source, rows)
    _describe(source, config, rows, described, folder)


def _require_all_classes(source: ImageSource, rows: Sequence[int]) -> None:
    lost = {*source.items} - {source.items[index] for index in rows}
    if lost:
        split, label = min(lost)
        raise DatasetUnusable(
            f"No picture of class {source.class_names[label]} in the {split} split could be used; add good ones, or "
            "remove the class."
        )


def _describe(
    source: ImageSource, config: DatasetConfig, rows: Sequence[int], described: Sequence[Chunk], folder: Path
) -> None:
    """Write labels, hashes and manifest of the images, which lie in the folder in the order of ``rows``."""
    images = np.load(folder / IMAGES_FILE, mmap_mode="r")
    hashes = np.concatenate([chunk.hashes for chunk in described])
    thumbnails = np.concatenate([chunk.thumbnails for chunk in described])
    sizes = Counter(source.items[index].split for index in rows)
    split_sizes = {split: sizes[split] for split in SPLITS if sizes[split]}
    names = [source.name(index) for index in rows]
    ImageSet(
        images=images,
        image_hashes=hashes,
        labels=np.array([source.items[index].label for index in rows], dtype=np.int64),
        class_names=source.class_names,
        split_sizes=split_sizes,
        resize_filter=config.resize_filter,
        skipped=tuple(reason for chunk in described for reason in chunk.skipped),
        duplicates=find_duplicates(images, hashes, thumbnails, split_sizes, names),
    ).save_description(folder)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """NumPy's own header, padded: with fewer images it has the same length."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decode(source: ImageSource, order: Sequence[int], config: DatasetConfig) -> Iterator[Chunk]:
    """Decode and resize all images in the given order, chunk by chunk."""
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    processes = os.cpu_count() or 1
    if source.is_in_memory or processes == 1 or len(chunks) < 2 * processes:
        yield from (_decode_chunk(source, chunk, config) for chunk in chunks)
        return
    arguments = (source, config)
    with ProcessPoolExecutor(processes, get_context("spawn"), _start_worker, arguments) as pool:
        under_way: deque[Future[Chunk]] = deque()
        for chunk in chunks:
            under_way.append(pool.submit(_decode_in_worker, chunk))
            if len(under_way) >= CHUNKS_PER_PROCESS * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _decode_chunk(source: ImageSource, chunk: Sequence[int], config: DatasetConfig) -> Chunk:
    indices, images, skipped = [], [], []
    for index in chunk:
        try:
            images.append(to_pixels(source.read(index), config))
            indices.append(index)
        except BadImage as error:
            if config.on_bad_image == "error":
                raise
            skipped.append(str(error))
    shape = (config.channels, config.image_size, config.image_size)
    pixels = np.stack(images) if images else np.empty((0, *shape), np.uint8)
    return Chunk(indices, pixels, hash_images(pixels), make_thumbnails(pixels), skipped)


_worker: tuple[ImageSource, DatasetConfig]
"""What a worker process decodes from: sent once, not with every chunk."""


def _start_worker(source: ImageSource, config: DatasetConfig) -> None:
    global _worker  # noqa: PLW0603
    _worker = (source, config)


def _decode_in_worker(chunk: Sequence[int]) -> Chunk:
    source, config = _worker
    return _decode_chunk(source, chunk, config)

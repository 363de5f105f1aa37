"""Hashes that identify data, weights and settings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

READERS = 8
"""Number of threads that read files: more than cores, since they wait for the disk."""
FILES_OF_A_TASK = 256
BLOCK_BYTES = 2**20


def hash_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """SHA-256 over shapes, types and values of arrays: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def hash_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """SHA-256 over the shape and the pixels of each image: (N, 32) uint8.

    Args:
        images: (N, C, H, W); memory-mapped images are read one at a time.
    """
    shape = str(images.shape[1:]).encode()
    digests = b"".join(hashlib.sha256(shape + image.tobytes()).digest() for image in images)
    return np.frombuffer(digests, np.uint8).reshape(len(images), 32)


def hash_dataset(image_hashes: NDArray[np.uint8], labels: NDArray[np.int64] | None, class_names: Sequence[str]) -> str:
    """Hash of labelled images: 64 hexadecimal digits.

    Args:
        image_hashes: (N, 32), from `hash_images`.
        labels: (N,) class indices, or None.
        class_names: names of the classes.
    """
    return hash_arrays([image_hashes, *([] if labels is None else [labels]), np.array(class_names)])


def hash_files(paths: Sequence[Path]) -> Iterator[str]:
    """Hash the bytes of files in threads: a SHA-256 of 64 hexadecimal digits for each, in order.

    A file that cannot be read has an empty text in place of its hash.
    """
    tasks = (paths[first : first + FILES_OF_A_TASK] for first in range(0, len(paths), FILES_OF_A_TASK))
    with ThreadPoolExecutor(READERS) as pool:
        for digests in pool.map(lambda task: [_hash_file(path) for path in task], tasks):
            yield from digests


def _hash_file(path: Path) -> str:
    """Hash a file; for small files, the functions of `os` take half the time of `Path.open`."""
    digest = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            while block := os.read(file, BLOCK_BYTES):
                digest.update(block)
        finally:
            os.close(file)
    except OSError:
        return ""
    return digest.hexdigest()


def hash_values(*values: Any) -> str:
    """SHA-256 over JSON values: 16 hexadecimal digits, short enough for the name of a folder."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

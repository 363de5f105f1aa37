"""Duplicates and near-duplicates: across splits they make scores too good, and in two classes one label is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIZE = 4
THUMBNAIL_DISTANCE = 12.0
"""Maximum root mean squared difference, in grey levels, between the thumbnails of two near-duplicates."""
CANDIDATES = 5
"""Number of nearest thumbnails whose images are compared."""
NEAR_CORRELATION = 0.95
"""Minimum correlation of the pixels of two near-duplicates.

Of playing cards and CIFAR-10, nearly all pairs above it show the same picture; a little below it, some do not.
"""
SAME_CORRELATION = 0.99
"""Minimum correlation of near-duplicates where a wrong one does harm: in two classes, which may differ in little, as
the four and five of clubs do, and among the held-out images, from which copies are told apart.

Of the ten pairs of playing cards between it and 1, four show the same card; of the 29 next below it, none does. Most
copies that were compressed or resized again are above it.
"""


class Duplicate(NamedTuple):
    """A duplicate or near-duplicate across splits.

    Attributes:
        image: name of the image in the later split.
        twin: name of the image in the earlier split.
        correlation: correlation of their pixels; 1.0 only if all pixels are equal.
    """

    image: str
    twin: str
    correlation: float


def make_thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink images to 4x4 means of the green channel, or of the only one.

    Args:
        images: (N, C, S, S) uint8.

    Returns:
        (N, T) float32 with T = 16, or S * S if S is below 4.
    """
    green = images[:, images.shape[1] // 2]
    size = min(THUMBNAIL_SIZE, green.shape[-1])
    edges = np.arange(size + 1) * green.shape[-1] // size
    sums = np.add.reduceat(np.add.reduceat(green, edges[:-1], axis=1, dtype=np.float32), edges[:-1], axis=2)
    means = sums / np.outer(np.diff(edges), np.diff(edges))
    return means.reshape(len(images), size * size).astype(np.float32)


class ImageRows(NamedTuple):
    """Rows of an array of images, with what duplicates are found by.

    Attributes:
        images: (N, C, S, S) uint8; few of them are read.
        image_hashes: (N, 32) uint8, as returned by `hash_images`.
        thumbnails: (N, T) float32, as returned by `make_thumbnails`.
        rows: (M,) the rows.
    """

    images: NDArray[np.uint8]
    image_hashes: NDArray[np.uint8]
    thumbnails: NDArray[np.float32]
    rows: NDArray[np.intp]


class Twins(NamedTuple):
    """Rows of a duplicate or near-duplicate.

    Attributes:
        row: row of the image.
        twin: row of the image most similar to it.
        correlation: correlation of their pixels, see `Duplicate`.
    """

    row: int
    twin: int
    correlation: float


def find_duplicates(
    images: NDArray[np.uint8],
    image_hashes: NDArray[np.uint8],
    thumbnails: NDArray[np.float32],
    split_sizes: Mapping[str, int],
    names: Sequence[str],
) -> tuple[Duplicate, ...]:
    """List the images that have a duplicate or near-duplicate in an earlier split, each with its best match.

    Args:
        images: (N, C, S, S) uint8, ordered by split; few of them are read.
        image_hashes: (N, 32) uint8, as returned by `hash_images`.
        thumbnails: (N, T) float32, as returned by `make_thumbnails`.
        split_sizes: number of images of each split, in the order of ``images``.
        names: name of each image.
    """
    everything = ImageRows(images, image_hashes, thumbnails, np.arange(len(images)))
    edges = np.cumsum([0, *split_sizes.values()])
    found = [
        twins
        for first, last in pairwise(edges[1:].tolist())
        for twins in find_twins(
            everything._replace(rows=np.arange(first, last)), everything._replace(rows=np.arange(first))
        )
    ]
    return tuple(Duplicate(names[twins.row], names[twins.twin], twins.correlation) for twins in found)


def find_conflicts(
    images: NDArray[np.uint8],
    image_hashes: NDArray[np.uint8],
    thumbnails: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> list[Twins]:
    """List the images that have a duplicate or near-duplicate in a later class, the most similar first.

    Args:
        images: (N, C, S, S) uint8; few of them are read.
        image_hashes: (N, 32) uint8, as returned by `hash_images`.
        thumbnails: (N, T) float32, as returned by `make_thumbnails`.
        labels: (N,) int64.
    """
    everything = ImageRows(images, image_hashes, thumbnails, np.arange(len(images)))
    found = [
        twins
        for label in np.unique(labels)
        for twins in find_twins(
            everything._replace(rows=np.flatnonzero(labels == label)),
            everything._replace(rows=np.flatnonzero(labels > label)),
            SAME_CORRELATION,
        )
    ]
    return sorted(found, key=lambda twins: -twins.correlation)


def find_repeated(image_hashes: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Twins]:
    """List the images of some rows whose pixels are those of an earlier one of these rows.

    Args:
        image_hashes: (N, 32) uint8, as returned by `hash_images`.
        rows: rows to compare.
    """
    seen: dict[bytes, int] = {}
    for row in rows.tolist():
        first = seen.setdefault(image_hashes[row].tobytes(), row)
        if first != row:
            yield Twins(row, first, 1.0)


def find_twins(asked: ImageRows, known: ImageRows, min_correlation: float = NEAR_CORRELATION) -> list[Twins]:
    """List the images that have a duplicate or near-duplicate among known ones, each with its best match.

    Args:
        asked: images to check.
        known: images to search, of the same shape: other rows of the same array, or of another one.
        min_correlation: of the pixels of near-duplicates.
    """
    if not len(known.rows):
        return []
    exact = {known.image_hashes[row].tobytes(): row for row in known.rows.tolist()}
    near = _nearest(known.thumbnails[known.rows], asked.thumbnails[asked.rows])
    found = []
    for row, candidates in zip(asked.rows.tolist(), near, strict=True):
        twin = exact.get(asked.image_hashes[row].tobytes())
        matches = [
            Twins(row, other, _correlation(asked.images[row], known.images[other]))
            for other in known.rows[candidates].tolist()
        ]
        best = max(matches, key=lambda match: match.correlation, default=None)
        if twin is not None:
            found.append(Twins(row, twin, 1.0))
        elif best is not None and best.correlation >= min_correlation:
            found.append(best)
    return found


def _nearest(known: NDArray[np.float32], asked: NDArray[np.float32]) -> list[list[int]]:
    """Find for each thumbnail the indices of the nearest known ones within `THUMBNAIL_DISTANCE`."""
    from scipy.spatial import KDTree  # noqa: PLC0415 (half a second that decoding processes save)

    radius = THUMBNAIL_DISTANCE * np.sqrt(known.shape[1])
    distances, indices = KDTree(known).query(asked, k=CANDIDATES, distance_upper_bound=radius, workers=-1)
    return [row[np.isfinite(far)].tolist() for row, far in zip(indices, distances, strict=True)]


def _correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Pearson correlation of all pixels, rounded to four digits, below 1; 0 for an image of a single shade."""
    deviations = [image.ravel() - image.mean(dtype=np.float64) for image in (first, second)]
    norm = np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1])
    return 0.0 if norm == 0 else min(round(float(deviations[0] @ deviations[1] / norm), 4), 0.9999)

"""Images that stand in more than one split, and so flatter whatever is measured on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THUMBNAIL_SIZE = 4
THUMBNAIL_DISTANCE = 12.0
"""Root of the mean squared difference, in grey levels, up to which two thumbnails are worth a closer look."""
CANDIDATES = 5
"""Nearest thumbnails that are looked at."""
NEAR_CORRELATION = 0.95
"""Correlation of all pixels from which two images count as near-duplicates. Among playing cards and CIFAR-10 nearly all
pairs above it showed the same picture, and a little below it the first did not."""


class Duplicate(NamedTuple):
    """Two images of different splits that are the same, or nearly.

    Attributes:
        image: name of the one in the later split.
        twin: name of the one in an earlier split.
        correlation: of their pixels; 1.0 exactly if all are equal, less if not.
    """

    image: str
    twin: str
    correlation: float


def make_thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink images to 4x4 means of their green channel, or their only one, which stands for brightness: (N, 16).

    Args:
        images: (N, C, S, S) uint8.
    """
    green = images[:, images.shape[1] // 2]
    size = min(THUMBNAIL_SIZE, green.shape[-1])
    edges = np.arange(size + 1) * green.shape[-1] // size
    sums = np.add.reduceat(np.add.reduceat(green, edges[:-1], axis=1, dtype=np.float32), edges[:-1], axis=2)
    means = sums / np.outer(np.diff(edges), np.diff(edges))
    return means.reshape(len(images), size * size).astype(np.float32)


class Twins(NamedTuple):
    """Two images that are the same, or nearly.

    Attributes:
        row: of the one that was asked about.
        twin: row of the other, the most alike that was found.
        correlation: of their pixels, see `Duplicate`.
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
    """List each image that has an exact or near-duplicate in an earlier split, with its best match.

    Args:
        images: (N, C, S, S) uint8, ordered by split; few of them are read.
        image_hashes: (N, 32) of each.
        thumbnails: (N, T) of each, as `make_thumbnails` gives them.
        split_sizes: number of images of each split, in their order.
        names: of the images.
    """
    edges = np.cumsum([0, *split_sizes.values()])
    found = [
        twins
        for first, last in pairwise(edges[1:].tolist())
        for twins in find_twins(images, image_hashes, thumbnails, asked=np.arange(first, last), known=np.arange(first))
    ]
    return tuple(Duplicate(names[twins.row], names[twins.twin], twins.correlation) for twins in found)


def find_twins(
    images: NDArray[np.uint8],
    image_hashes: NDArray[np.uint8],
    thumbnails: NDArray[np.float32],
    *,
    asked: NDArray[np.intp],
    known: NDArray[np.intp],
) -> list[Twins]:
    """List each image of some rows that has an exact or near-duplicate among other rows, with its best match.

    Args:
        images: (N, C, S, S) uint8; few of them are read.
        image_hashes: (N, 32) of each.
        thumbnails: (N, T) of each, as `make_thumbnails` gives them.
        asked: rows to look for.
        known: rows to look in, none of those asked about.
    """
    if not len(known):
        return []
    exact = {image_hashes[row].tobytes(): row for row in known.tolist()}
    near = _nearest(thumbnails[known], thumbnails[asked])
    found = []
    for row, candidates in zip(asked.tolist(), near, strict=True):
        twin = exact.get(image_hashes[row].tobytes())
        matches = [Twins(row, other, _correlation(images[row], images[other])) for other in known[candidates].tolist()]
        best = max(matches, key=lambda match: match.correlation, default=None)
        if twin is not None:
            found.append(Twins(row, twin, 1.0))
        elif best is not None and best.correlation >= NEAR_CORRELATION:
            found.append(best)
    return found


def _nearest(known: NDArray[np.float32], asked: NDArray[np.float32]) -> list[list[int]]:
    """For each thumbnail the indices of the nearest known ones that are near enough."""
    from scipy.spatial import KDTree  # noqa: PLC0415 (half a second, which processes that decode need not wait)

    radius = THUMBNAIL_DISTANCE * np.sqrt(known.shape[1])
    distances, indices = KDTree(known).query(asked, k=CANDIDATES, distance_upper_bound=radius, workers=-1)
    return [row[np.isfinite(far)].tolist() for row, far in zip(indices, distances, strict=True)]


def _correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Pearson's over all pixels, to four digits and below 1; 0 for an image of one shade."""
    deviations = [image.ravel() - image.mean(dtype=np.float64) for image in (first, second)]
    norm = np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1])
    return 0.0 if norm == 0 else min(round(float(deviations[0] @ deviations[1] / norm), 4), 0.9999)

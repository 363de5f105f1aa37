"""Images that stand in more than one split, and so flatter whatever is measured on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    found = []
    first = 0
    for size in split_sizes.values():
        if first:
            rows = range(first, first + size)
            twins = {row.tobytes(): index for index, row in enumerate(image_hashes[:first])}
            near = _nearest(thumbnails[:first], thumbnails[first : first + size])
            for row, candidates in zip(rows, near, strict=True):
                match = _best_match(images, image_hashes, row, candidates, twins)
                if match is not None:
                    found.append(Duplicate(names[row], names[match[1]], match[0]))
        first += size
    return tuple(found)


def _nearest(known: NDArray[np.float32], asked: NDArray[np.float32]) -> list[list[int]]:
    """For each thumbnail the indices of the nearest known ones that are near enough."""
    from scipy.spatial import KDTree  # noqa: PLC0415 (half a second, which processes that decode need not wait)

    radius = THUMBNAIL_DISTANCE * np.sqrt(known.shape[1])
    distances, indices = KDTree(known).query(asked, k=CANDIDATES, distance_upper_bound=radius, workers=-1)
    return [row[np.isfinite(far)].tolist() for row, far in zip(indices, distances, strict=True)]


def _best_match(
    images: NDArray[np.uint8],
    image_hashes: NDArray[np.uint8],
    row: int,
    candidates: Sequence[int],
    twins: Mapping[bytes, int],
) -> tuple[float, int] | None:
    twin = twins.get(image_hashes[row].tobytes())
    if twin is not None:
        return 1.0, twin
    matches = [(_correlation(images[row], images[candidate]), candidate) for candidate in candidates]
    best = max(matches, default=(0.0, 0))
    return best if best[0] >= NEAR_CORRELATION else None


def _correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Pearson's over all pixels, to four digits and below 1; 0 for an image of one shade."""
    deviations = [image.ravel() - image.mean(dtype=np.float64) for image in (first, second)]
    norm = np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1])
    return 0.0 if norm == 0 else min(round(float(deviations[0] @ deviations[1] / norm), 4), 0.9999)

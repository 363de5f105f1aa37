"""A page about a dataset before anything is trained on it: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_pipelines.figures.grids import make_image_grid
from gan_pipelines.figures.pages import Pixels, render_page

MAX_BARS = 80
"""Maximum number of classes with a bar: half of them the largest, half the smallest."""
MAX_LINES = 30
COLUMNS = 32
"""Number of columns of a histogram."""
COMMON_SIZES = 5


class PagePair(NamedTuple):
    """Two pictures side by side.

    Attributes:
        images: (C, S, S) uint8 of each.
        names: of each.
        classes: of each.
        correlation: of their pixels, at most 1.
    """

    images: tuple[Pixels, Pixels]
    names: tuple[str, str]
    classes: tuple[str, str]
    correlation: float


@dataclass(frozen=True)
class PairList:
    """Pairs of a kind.

    Attributes:
        title: what they have in common.
        advice: why they matter, and what to do.
        count: number of pairs that were found.
        pairs: the first of them.
    """

    title: str
    advice: str
    count: int
    pairs: Sequence[PagePair]


@dataclass(frozen=True)
class DatasetPage:
    """The contents of the page.

    Attributes:
        name: name of the experiment.
        folder: folder of the pictures.
        facts: about sizes and levels, line by line.
        warnings: problems, each with a remedy.
        class_counts: number of usable pictures by split and class.
        sizes: (N, 2) width and height of the pictures.
        image_size: height and width of the images.
        level_counts: (256,) number of pixels of each level.
        images: (N, C, S, S) uint8 by class, as networks see them.
        pairs: pairs that are the same, or nearly, by kind.
        files: files with problems, by kind.
    """

    name: str
    folder: str
    facts: Sequence[str]
    warnings: Sequence[str]
    class_counts: Mapping[str, Mapping[str, int]]
    sizes: NDArray[np.int64]
    image_size: int
    level_counts: NDArray[np.int64]
    images: Mapping[str, Pixels]
    pairs: Sequence[PairList]
    files: Mapping[str, Sequence[str]]


class Bar(NamedTuple):
    """The counts of a class: ``parts`` has the split, the number, and its percentage of the largest class."""

    name: str
    total: int
    parts: Sequence[tuple[str, int, float]]


class Column(NamedTuple):
    """A column of a histogram: its height as a percentage of the highest, and what it shows."""

    height: float
    text: str


def render_dataset_page(page: DatasetPage) -> str:
    """Render the page, with pictures embedded. Long lists are cut, and say how much is left out."""
    bars = _draw_bars(page.class_counts)
    sides = page.sizes.min(axis=1)
    smallest, largest = int(sides.min()), int(sides.max())
    side_counts, edges = np.histogram(sides, min(COLUMNS, largest - smallest + 1), (smallest, largest + 1))
    level_counts = page.level_counts.reshape(COLUMNS, -1).sum(axis=1)
    return render_page(
        "dataset.html.jinja",
        {"rgb": _to_rgb, "grid": lambda images: make_image_grid(images, columns=len(images))},
        page=page,
        files={title: lines for title, lines in page.files.items() if lines},
        bars=bars if len(bars) <= MAX_BARS else [*bars[: MAX_BARS // 2], *bars[-MAX_BARS // 2 :]],
        classes=len(bars),
        max_lines=MAX_LINES,
        sides=(smallest, largest),
        side_columns=_draw_columns(side_counts, edges),
        common_sizes=_common_sizes(page.sizes),
        level_columns=_draw_columns(level_counts, np.linspace(0, 256, COLUMNS + 1)),
    )


def _draw_bars(class_counts: Mapping[str, Mapping[str, int]]) -> list[Bar]:
    """A bar for each class, the largest first."""
    names = next(iter(class_counts.values()))
    totals = {name: sum(counts[name] for counts in class_counts.values()) for name in names}
    largest = max(totals.values())
    return [
        Bar(
            name, total, [(split, counts[name], 100 * counts[name] / largest) for split, counts in class_counts.items()]
        )
        for name, total in sorted(totals.items(), key=lambda item: -item[1])
    ]


def _draw_columns(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> list[Column]:
    """Columns of a histogram whose column k is from edge k to edge k + 1."""
    return [
        Column(100 * count / max(1, counts.max()), f"{np.ceil(low):.0f} to {np.ceil(high) - 1:.0f}: {count:,}")
        for count, low, high in zip(counts, edges, edges[1:], strict=False)
    ]


def _common_sizes(sizes: NDArray[np.int64]) -> list[tuple[str, int]]:
    """The most common sizes of pictures, with their numbers."""
    found, counts = np.unique(sizes, axis=0, return_counts=True)
    return [(f"{found[row][0]}x{found[row][1]}", int(counts[row])) for row in np.argsort(-counts)[:COMMON_SIZES]]


def _to_rgb(image: Pixels) -> Pixels:
    """(C, S, S) to (S, S, 3)."""
    return np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)

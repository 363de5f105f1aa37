"""Inspect a folder of pictures: contents, problems, and whether a GAN can be trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images.config import DatasetConfig, ValueRange
from gan_pipelines.images.decoding import picture_size
from gan_pipelines.images.duplicates import Twins, find_conflicts, find_repeated
from gan_pipelines.images.errors import DatasetUnusable
from gan_pipelines.images.image_set import ImageSet
from gan_pipelines.images.listing import SPLIT_FOLDERS, find_folder_split
from gan_pipelines.images.prepare import prepare_image_set
from gan_pipelines.images.sources import ImageFolderSource, find_label_file, open_image_folder, read_labels

SMALLEST_SIZE, LARGEST_SIZE = 16, 64
TEST_FRACTION = 0.2
MIN_TRAIN = 50
"""Minimum number of training pictures: on fewer, a GAN learns only noise."""
FEW_TRAIN = 1000
FEW_OF_A_CLASS = 20
"""Number of training pictures of a class below which a GAN memorises them."""
UNEVEN = 10.0
"""Ratio of the largest to the smallest class above which the smallest hardly affects training."""
FEW_LEVELS = 64
"""Difference between the largest and the smallest level below which images look as if they had one shade."""
MUCH_CUT_OFF = 0.25
SHOWN = 3
SHOWN_PAIRS = 24
"""Maximum number of pairs of a kind whose images a report holds."""
SHOWN_CLASSES = 60
"""Maximum number of classes whose images a report holds."""
SHOWN_OF_A_CLASS = 8
BATCH = 1000


class Pair(NamedTuple):
    """Two pictures that are the same, or nearly.

    Attributes:
        image: name of one picture.
        twin: name of the other.
        classes: class of each.
        correlation: of their pixels, see `Duplicate`.
    """

    image: str
    twin: str
    classes: tuple[str, str]
    correlation: float

    def __str__(self) -> str:
        return f"{self.image} and {self.twin}"


@dataclass(frozen=True)
class FolderReport:
    """The contents of a folder of pictures.

    Attributes:
        dataset: settings to read it; ``image_size`` is the largest that enlarges at most one in ten pictures.
        class_counts: number of usable pictures by split and class.
        sizes: (N, 2) width and height of the pictures.
        skipped: files that cannot be used, each with the reason.
        duplicates: duplicates and near-duplicates across splits.
        repeated: duplicates within a split.
        conflicts: duplicates and near-duplicates in two classes, the most similar first.
        pair_images: (C, S, S) uint8 by name: the images of the first `SHOWN_PAIRS` of these three.
        level_counts: (256,) number of pixels of each level.
        first_frames: files of several frames or pages, of which only the first is used.
        left_out: number of files that are no pictures, by suffix, and of pictures that are hidden.
        misplaced: pictures whose folder has the name of another class than their label.
        shown: (N, C, S, S) uint8 by class: a few images of the first `SHOWN_CLASSES`, as networks see them.
    """

    dataset: DatasetConfig
    class_counts: Mapping[str, Mapping[str, int]]
    sizes: NDArray[np.int64]
    skipped: tuple[str, ...]
    duplicates: tuple[Pair, ...]
    repeated: tuple[Pair, ...]
    conflicts: tuple[Pair, ...]
    pair_images: Mapping[str, NDArray[np.uint8]]
    level_counts: NDArray[np.int64]
    first_frames: tuple[str, ...]
    left_out: Mapping[str, int]
    misplaced: tuple[str, ...]
    shown: Mapping[str, NDArray[np.uint8]]

    @property
    def levels(self) -> tuple[int, int]:
        """Smallest and largest level of the images."""
        found = np.flatnonzero(self.level_counts)
        return int(found[0]), int(found[-1])

    @property
    def train_counts(self) -> Mapping[str, int]:
        """Number of training pictures of each class."""
        return self.class_counts["train"]

    def describe(self) -> list[str]:
        """Describe the contents, line by line."""
        names = sorted(self.train_counts)
        lines = [f"{len(names)} class{'es' if len(names) > 1 else ''}: {_shorten(names)}"]
        if self.dataset.labels is not None:
            lines.append(f"labels: column {self.dataset.label_column} of {self.dataset.labels}")
        lines += [
            f"{split:<6} {sum(sizes):>7,} pictures, {min(sizes):,} to {max(sizes):,} a class"
            for split, sizes in ((split, counts.values()) for split, counts in self.class_counts.items())
        ]
        return lines + self.describe_pixels()

    def describe_pixels(self) -> list[str]:
        """Describe sizes, levels, and what is cut off, line by line."""
        areas = self.sizes.prod(axis=1)
        smallest, median, largest = (
            "{}x{}".format(*self.sizes[row]) for row in areas.argsort()[[0, len(areas) // 2, -1]]
        )
        colours = "grey" if self.dataset.channels == 1 else "in colour"
        lines = [f"pixels: {smallest} to {largest}, median {median}, {colours}"]
        lines.append("levels: {} to {} of 255".format(*self.levels))
        if self.dataset.value_range is not None:
            lines[-1] += "; in pictures of more than 8 bits {:g} is black and {:g} white".format(
                *self.dataset.value_range
            )
        lines.append(f"cut off: {self.cut_off:.0%} of the pixels, outside the largest centred square")
        return lines

    @property
    def cut_off(self) -> float:
        """Fraction of the pixels that ``fit: crop`` cuts off, averaged over the pictures."""
        return float(1 - (self.sizes.min(axis=1) / self.sizes.max(axis=1)).mean())

    def warn(self) -> Iterator[str]:
        """List problems, each as a sentence with a remedy."""
        counts = self.train_counts
        total = sum(counts.values())
        few = [f"{name} {count}" for name, count in counts.items() if count < FEW_OF_A_CLASS]
        largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        like_splits = [name for name in counts if name.lower() in SPLIT_FOLDERS and self.dataset.labels is None]
        small = int((self.sizes.min(axis=1) < self.dataset.image_size).sum())
        yield from self._warn_of_files()
        yield from self._warn_of_pairs()
        if total < FEW_TRAIN:
            yield (
                f"{total} training pictures are few, and may be memorised; add some, or look at the entry "
                "neighbours after the training."
            )
        if few:
            yield (
                f"classes with fewer than {FEW_OF_A_CLASS} training pictures: {len(few)} ({_shorten(few)}); add some, "
                "or remove the class."
            )
        if counts[largest] > UNEVEN * counts[smallest]:
            yield (
                f"{largest} has {counts[largest]:,} training pictures, and {smallest} {counts[smallest]:,}; add some "
                "to the small classes, or trust their scores less."
            )
        if self.levels[1] - self.levels[0] < FEW_LEVELS:
            yield (
                f"the images have only levels {self.levels[0]} to {self.levels[1]}, and look as if they had one shade; "
                "scale the values of the files up to 255."
            )
        if self.cut_off >= MUCH_CUT_OFF:
            yield (
                f"dataset.fit: crop cuts off {self.cut_off:.0%} of the pixels; set it to pad, which adds white "
                "edges, or to stretch."
            )
        if small:
            yield (
                f"pictures of fewer than {self.dataset.image_size} pixels a side, which are enlarged: {small}; replace "
                "them, or set a smaller dataset.image_size."
            )
        if self.dataset.folder_split is not None and like_splits:
            yield (
                f"folders that are named like splits are read as classes: {_shorten(like_splits)}; if they are splits, "
                "rename the other folders, or move them away."
            )
        if self.dataset.folder_split is not None:
            which, how = ("folders of splits", "make folders train and test")
            if self.dataset.labels is not None:
                which, how = ("splits", "add a column split")
            yield (
                f"there are no {which}, so {TEST_FRACTION:.0%} of each class become the test split; {how} yourself if "
                "pictures of one series must not stand in both."
            )

    def _warn_of_pairs(self) -> Iterator[str]:
        if self.conflicts:
            yield (
                f"the same or nearly the same picture in two classes: {_list_pairs(self.conflicts)}; look at them, "
                "correct labels that are wrong, and remove one of each pair."
            )
        if self.repeated:
            yield f"pictures twice in one split: {_list_pairs(self.repeated)}; remove one of each pair."
        if self.duplicates:
            yield (
                "duplicates or near-duplicates across splits, which make scores too good: "
                f"{_list_pairs(self.duplicates)}; look at them, and remove one of each pair."
            )

    def _warn_of_files(self) -> Iterator[str]:
        if self.misplaced:
            yield (
                f"pictures whose folder has the name of another class: {len(self.misplaced)} "
                f"({_shorten(self.misplaced)}); correct {self.dataset.labels}, or remove it if the folders are right."
            )
        if self.skipped:
            yield f"files that cannot be used and are left out: {len(self.skipped)}. {_shorten(self.skipped, ' ')}"
        if self.left_out:
            most = sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
            by_suffix = _shorten([f"{suffix or 'no suffix'} {count}" for suffix, count in most])
            count = sum(self.left_out.values())
            yield f"files that are no pictures, or hidden, and are left out: {count} ({by_suffix})."
        if self.first_frames:
            yield (
                "animated or multi-page files, of which only the first frame or page is used: "
                f"{len(self.first_frames)} ({_shorten(self.first_frames)}); save the others as files of their own if "
                "you want them."
            )


def inspect_folder(
    folder: Path,
    largest_size: int = LARGEST_SIZE,
    value_range: ValueRange | None = None,
    labels: str | None = None,
    label_column: str = "label",
) -> FolderReport:
    """Inspect every picture of a folder: ``<split>/<class>/*``, ``<class>/*``, or any with a file of labels.

    Args:
        folder: folder of the pictures.
        largest_size: maximum image size to train on, a power of two from 16.
        value_range: see `DatasetConfig`.
        labels: file of the labels, see `DatasetConfig`; None takes ``metadata.csv`` or ``metadata.jsonl`` if it is
            there and has ``label_column``, else the names of the folders.
        label_column: see `DatasetConfig`.

    Raises:
        DatasetUnusable: if its folders or its labels are not as described, it has too few pictures, or ``value_range``
            is missing.
    """
    if not folder.is_dir():
        raise DatasetUnusable(f"There is no folder {folder}; name the one that holds the pictures.")
    dataset = DatasetConfig(
        source="image_folder",
        path=str(folder),
        labels=labels or find_label_file(folder, label_column),
        label_column=label_column,
        on_bad_image="skip",
        image_size=largest_size,
        channels=3,
        value_range=value_range,
    )
    if not _has_splits(dataset):
        dataset = replace(dataset, folder_split="train", test_fraction=TEST_FRACTION)
    source = open_image_folder(dataset)
    found = (picture_size(source.path(index)) for index in range(len(source.items)))
    sizes = np.array([size for size in found if size is not None], dtype=np.int64).reshape(-1, 2)
    dataset = replace(dataset, image_size=_fitting_size(sizes, largest_size))
    with TemporaryDirectory() as scratch:
        image_set = prepare_image_set(KeyedStore(Path(scratch)), dataset)
        if len(np.unique(image_set.image_hashes, axis=0)) == 1:
            raise DatasetUnusable(f"The pictures of {folder} are all the same; replace them.")
        duplicates, repeated, conflicts = _find_pairs(image_set)
        report = FolderReport(
            dataset=replace(
                dataset,
                channels=1 if _is_grey(image_set.images) else 3,
                on_bad_image="skip" if image_set.skipped else "error",
                value_range=image_set.value_range,
            ),
            class_counts=image_set.manifest()["class_counts"],
            sizes=sizes,
            skipped=image_set.skipped,
            duplicates=duplicates,
            repeated=repeated,
            conflicts=conflicts,
            pair_images=_pair_images(image_set, (duplicates, repeated, conflicts)),
            level_counts=_count_levels(image_set.images),
            first_frames=image_set.first_frames,
            left_out=image_set.left_out,
            misplaced=tuple(_find_misplaced(source)) if dataset.labels is not None else (),
            shown=_first_of_each_class(image_set),
        )
    _require_enough(report)
    return report


def _has_splits(dataset: DatasetConfig) -> bool:
    if dataset.labels is None:
        return find_folder_split(Path(str(dataset.path))) is None
    return any(line.split is not None for line in read_labels(dataset))


def _find_misplaced(source: ImageFolderSource) -> Iterator[str]:
    for index, item in enumerate(source.items):
        name, folder = source.class_names[item.label], source.path(index).parent.name
        if folder != name and folder in source.class_names:
            yield f"{source.name(index)} is {name}"


def _find_pairs(image_set: ImageSet) -> tuple[tuple[Pair, ...], tuple[Pair, ...], tuple[Pair, ...]]:
    """Duplicates across splits, duplicates within a split, and conflicts."""
    row_of = {name: row for row, name in enumerate(image_set.names)}
    duplicates = [Twins(row_of[image], row_of[twin], alike) for image, twin, alike in image_set.duplicates]
    copies = (find_repeated(image_set.image_hashes, image_set.rows(split)) for split in image_set.split_sizes)
    repeated = [Twins(first, row, alike) for found in copies for row, first, alike in found]
    conflicts = find_conflicts(image_set.images, image_set.image_hashes, image_set.thumbnails, image_set.labels)
    return _name(image_set, duplicates), _name(image_set, repeated), _name(image_set, conflicts)


def _name(image_set: ImageSet, found: Sequence[Twins]) -> tuple[Pair, ...]:
    names, classes = image_set.names, [image_set.class_names[label] for label in image_set.labels]
    return tuple(Pair(names[row], names[twin], (classes[row], classes[twin]), alike) for row, twin, alike in found)


def _pair_images(image_set: ImageSet, kinds: Iterable[Sequence[Pair]]) -> dict[str, NDArray[np.uint8]]:
    wanted = {name for pairs in kinds for pair in pairs[:SHOWN_PAIRS] for name in (pair.image, pair.twin)}
    return {name: np.array(image_set.images[row]) for row, name in enumerate(image_set.names) if name in wanted}


def _first_of_each_class(image_set: ImageSet) -> dict[str, NDArray[np.uint8]]:
    """A copy of a few images of each class, of the first split that has them."""
    rows = (np.flatnonzero(image_set.labels == label)[:SHOWN_OF_A_CLASS] for label in range(SHOWN_CLASSES))
    return {name: np.array(image_set.images[found]) for name, found in zip(image_set.class_names, rows, strict=False)}


def _count_levels(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    parts = (images[first : first + BATCH] for first in range(0, len(images), BATCH))
    counts: NDArray[np.int64] = np.sum([np.bincount(part.ravel(), minlength=256) for part in parts], axis=0)
    return counts


def _fitting_size(sizes: NDArray[np.int64], largest: int) -> int:
    """The largest power of two that nine of ten pictures reach."""
    if not len(sizes):
        return SMALLEST_SIZE  # preparing them raises an error that says why
    bound = min(largest, np.quantile(sizes.min(axis=1), 0.1))
    return max(SMALLEST_SIZE, 2 ** int(np.log2(bound)))


def _is_grey(images: NDArray[np.uint8]) -> bool:
    """Whether all channels of (N, 3, S, S) are the same."""
    parts = (images[first : first + BATCH] for first in range(0, len(images), BATCH))
    return all(bool((part == part[:, :1]).all()) for part in parts)


def _require_enough(report: FolderReport) -> None:
    folder = report.dataset.path
    if "train" not in report.class_counts:
        raise DatasetUnusable(
            f"{folder} has no train split; make a folder train, with a folder of pictures for each class."
        )
    total = sum(report.train_counts.values())
    if total < MIN_TRAIN:
        raise DatasetUnusable(f"{folder} has {total} training pictures, and a GAN needs {MIN_TRAIN} or more; add some.")
    name, count = min(report.train_counts.items(), key=lambda item: item[1])
    if count < 2:
        raise DatasetUnusable(f"Class {name} has one training picture; add some, or remove the class.")


def _list_pairs(pairs: Sequence[Pair]) -> str:
    """The number of pairs, and the names of the first."""
    return f"{len(pairs)} ({_shorten([str(pair) for pair in pairs])})"


def _shorten(names: Sequence[str], separator: str = ", ") -> str:
    """List the first names, and count the others."""
    more = len(names) - SHOWN
    return separator.join(names[:SHOWN]) + (f"{separator}and {more} more" if more > 0 else "")

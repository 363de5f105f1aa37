"""Sources of labelled pictures."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from os.path import isfile
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from gan_pipelines.core.errors import printable
from gan_pipelines.core.files import folder_name
from gan_pipelines.core.hashing import hash_arrays, hash_files, hash_values
from gan_pipelines.images.config import DatasetConfig, SourceName
from gan_pipelines.images.decoding import Picture, read_picture
from gan_pipelines.images.errors import DatasetUnusable
from gan_pipelines.images.label_files import (
    METADATA_FILES,
    SPLIT_COLUMN,
    LabelLine,
    list_columns,
    read_label_file,
    sort_classes,
)
from gan_pipelines.images.listing import (
    HIDDEN,
    SPLIT_FOLDERS,
    SPLITS,
    count_hidden,
    find_class_folders,
    find_pictures,
    find_split_folders,
    find_splits,
    list_class_files,
    list_subfolders,
    read_status,
    relative_name,
)

SINGLE_CLASS = "all"
"""Name of the class of pictures that lie in no folder of a class."""


class SourceItem(NamedTuple):
    """Split and class index of a picture."""

    split: str
    label: int


class ImageSource(Protocol):
    """Labelled pictures of any size and mode, decoded one by one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, indexed by the labels of items."""

    @property
    def items(self) -> Sequence[SourceItem]:
        """Split and label of each picture."""

    @property
    def stamp(self) -> str:
        """Cheap hash, of pixels or of names and times of files; equal only if the pictures have not changed."""

    def compute_fingerprint(self) -> str:
        """Hash pixels, or the bytes of all files; equal only if the pictures are equal."""

    @property
    def is_in_memory(self) -> bool:
        """Whether reading a picture is so cheap that one process is enough."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Number of files that are no pictures, by suffix, and of pictures that are hidden."""

    def name(self, index: int) -> str:
        """Name of the picture: its file, or its position in the source."""

    def read(self, index: int, size: int) -> Picture:
        """Decode the picture of one item, to be resized to a size. Raises `BadImage` if it cannot be decoded."""


class ArraySource:
    """Pictures from an array in memory: (N, H, W) or (N, H, W, 3) uint8."""

    is_in_memory = True
    left_out: Mapping[str, int] = {}

    def __init__(self, pixels: NDArray[np.uint8], items: Sequence[SourceItem], class_names: Sequence[str]) -> None:
        self._pixels = pixels
        self.items = items
        self.class_names = tuple(class_names)
        splits, labels = (np.array(column) for column in zip(*items, strict=True))
        self.stamp = hash_arrays([pixels, splits, labels, np.array(self.class_names)])

    def compute_fingerprint(self) -> str:
        """The hash of the pixels."""
        return self.stamp

    def name(self, index: int) -> str:
        """Split and position of the picture."""
        return f"{self.items[index].split}/{index}"

    def read(self, index: int, size: int) -> Picture:
        """Convert a part of the array to a picture."""
        return Picture(Image.fromarray(self._pixels[index]))


def open_digits(config: DatasetConfig) -> ArraySource:
    """Open the 1,797 handwritten digits that scikit-learn ships: 8x8, 16 grey levels, ten classes.

    Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits". A fixed seed splits them, stratified by class:
    70 % train, 10 % valid and 20 % test.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 (takes a second)
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    digits = load_digits()
    labels = digits.target
    rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    train, valid = train_test_split(rest, test_size=0.125, stratify=labels[rest], random_state=0)
    splits = {index: name for name, rows in {"train": train, "valid": valid, "test": test}.items() for index in rows}
    items = [SourceItem(splits[index], int(label)) for index, label in enumerate(labels)]
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)
    return ArraySource(pixels, items, list(map(str, digits.target_names)))


def open_torchvision(config: DatasetConfig) -> ArraySource:
    """Open the train and test splits of CIFAR-10 or Fashion-MNIST from torchvision's files.

    Raises:
        DatasetUnusable: if the files are missing and the download is not allowed or fails, or they cannot be read.
    """
    from torchvision import datasets  # noqa: PLC0415 (PyTorch: not for image folders)

    dataset = {"cifar10": datasets.CIFAR10, "fashion_mnist": datasets.FashionMNIST}[config.source]
    try:
        parts = {split: dataset(config.path, train=split == "train", download=config.download) for split in SPLITS[:2]}
    except (RuntimeError, OSError, ValueError, AssertionError) as error:
        remedy = "put torchvision's files there, or use source: image_folder"
        if config.download:
            problem = f"could not be downloaded to {config.path}"
        elif isinstance(error, RuntimeError) and "not found" in str(error):
            problem, remedy = f"is not in {config.path}", f"{remedy}, or set dataset.download: true"
        else:
            problem = f"in {config.path} cannot be read, it may be cut off"
        raise DatasetUnusable(f"{dataset.__name__} {problem}; {remedy}.") from error
    items = [SourceItem(split, int(label)) for split, part in parts.items() for label in part.targets]
    pixels = np.concatenate([np.asarray(part.data) for part in parts.values()])
    return ArraySource(pixels, items, parts["train"].classes)


class _Group(NamedTuple):
    """Pictures of a split and class: the status of each, by its path relative to the folder of the dataset."""

    split: str
    label: int
    files: Mapping[str, os.stat_result]


class ImageFolderSource:
    """Pictures in folders named by class: ``<split>/<class>/*`` or ``<class>/*``."""

    is_in_memory = False

    def __init__(self, config: DatasetConfig) -> None:
        self._root = root = Path(str(config.path))
        self._files: list[str] = []
        self.items: list[SourceItem] = []
        self.left_out: Counter[str] = Counter()
        self.class_names: tuple[str, ...] = ()
        stamps: list[tuple[str | int, ...]] = []
        try:
            if not root.is_dir():
                raise DatasetUnusable(f"There is no folder {root}; set dataset.path to the folder of the images.")
            for group in self._find_groups(config):
                test = _draw_test([*group.files], config.test_fraction)
                for file, found in group.files.items():
                    item = SourceItem("test" if file in test else group.split, group.label)
                    self.items.append(item)
                    self._files.append(file)
                    # Files that are swapped keep sizes and times; the inode and the time of the last change do not fit.
                    times = (found.st_mtime_ns, found.st_ctime_ns)
                    stamps.append((item.split, file, found.st_size, *times, found.st_ino))
        except PermissionError as error:
            raise DatasetUnusable(f"{error.filename} may not be read; change its permissions.") from error
        self.left_out = +self.left_out
        self.stamp = hash_values(json.dumps(stamps), self.class_names)

    def _find_groups(self, config: DatasetConfig) -> Iterator[_Group]:
        """Set the names of the classes and what is left out; list the pictures by split and class."""
        split_folders = find_split_folders(self._root, config.folder_split)
        classes = {split: self._find_classes(folder) for split, folder in split_folders.items()}
        self.class_names = tuple(sorted({name for folders in classes.values() for name in folders}))
        if not self.class_names:
            raise DatasetUnusable(
                f"{self._root} has no folder of a class; put the pictures of each class into one, or all into the same."
            )
        for split, folders in classes.items():
            for label, name in enumerate(self.class_names):
                if name not in folders:
                    missing = split_folders[split] / name
                    raise DatasetUnusable(f"There is no folder {missing}: every split needs every class; add it.")
                place = folders[name].relative_to(self._root)
                pictures, others = list_class_files(folders[name])
                self.left_out.update(others)
                yield _Group(split, label, {(place / file.name).as_posix(): read_status(file) for file in pictures})
        self.left_out[HIDDEN] += sum(map(count_hidden, {self._root, *split_folders.values()}))

    def _find_classes(self, split_folder: Path) -> dict[str, Path]:
        return find_class_folders(split_folder)

    def compute_fingerprint(self) -> str:
        """Hash the bytes of all files, with their names and splits."""
        paths = [self.path(index) for index in range(len(self._files))]
        hashes = tqdm(hash_files(paths), total=len(paths), unit="img", desc="reading files", delay=2, disable=None)
        splits = [item.split for item in self.items]
        return hash_values(json.dumps([*zip(splits, self._files, hashes, strict=True)]), self.class_names)

    def path(self, index: int) -> Path:
        """Path of the file."""
        return self._root / self._files[index]

    def name(self, index: int) -> str:
        """Path of the file relative to the folder of the dataset, as text that can be printed."""
        return printable(self._files[index])

    def read(self, index: int, size: int) -> Picture:
        """Decode one file for a size. Raises `BadImage` if it cannot be decoded."""
        return read_picture(self.path(index), size)


class PlainFolderSource(ImageFolderSource):
    """Pictures in folders named by class, or all in one folder, which is then the only class."""

    def _find_classes(self, split_folder: Path) -> dict[str, Path]:
        return super()._find_classes(split_folder) if list_subfolders(split_folder) else {SINGLE_CLASS: split_folder}


class LabelFileSource(ImageFolderSource):
    """Pictures in any folders, with their labels in a file, or in one for each split; see `read_labels`."""

    def __init__(self, config: DatasetConfig) -> None:
        super().__init__(config)
        self._labels = [item.label for item in self.items]
        self.stamp = hash_values(self.stamp, self._labels)

    def compute_fingerprint(self) -> str:
        """Hash the bytes of all files, with their names, splits and labels."""
        return hash_values(super().compute_fingerprint(), self._labels)

    def _find_groups(self, config: DatasetConfig) -> Iterator[_Group]:
        lines = read_labels(config)
        pictures, self.left_out = find_pictures(self._root)
        files = (file.resolve() for file in _label_files(config).values())
        self.left_out.subtract(file.suffix.lower() for file in files if file.is_relative_to(self._root.resolve()))
        _require_all_listed(pictures, lines, config)
        self.class_names = sort_classes(line.label for line in lines)
        _require_folder_names(self.class_names, config)
        groups: dict[tuple[str, str], dict[str, os.stat_result]] = defaultdict(dict)
        for line in sorted(lines):
            picture = pictures[line.file]
            groups[_choose_split(line, config), line.label][relative_name(picture, self._root)] = read_status(picture)
        splits = {split for split, _ in groups}
        for split in filter(splits.__contains__, SPLITS):
            for label, name in enumerate(self.class_names):
                if (split, name) not in groups:
                    raise DatasetUnusable(
                        f"No picture of the {split} split has the label {name} in {config.labels}: every split needs "
                        "every class; add some, or remove the class."
                    )
                yield _Group(split, label, groups[split, name])


def _require_folder_names(class_names: Sequence[str], config: DatasetConfig) -> None:
    """Raise `DatasetUnusable` if samples of two classes would lie in the same folder."""
    names: dict[str, str] = {}
    for name in class_names:
        if (other := names.setdefault(folder_name(name), name)) != name:
            raise DatasetUnusable(
                f"Samples of the labels {other} and {name} in {config.labels} would lie in the same folder, "
                f"{folder_name(name)}; rename one of the two."
            )


def read_labels(config: DatasetConfig) -> list[LabelLine]:
    """Read the file of labels in the folder of a dataset, or those in its folders of splits.

    Returns:
        A line for each picture; ``file`` is relative to the folder of the dataset. ``split`` is ``train``, ``test`` or
        ``valid``: from the column ``split``, or else from the first folder of the path if each of these folders is that
        of a split; or None.

    Raises:
        DatasetUnusable: if there is no such file, or one cannot be used; see `read_label_file`.
    """
    root = Path(str(config.path))
    lines = [
        line._replace(file=relative_name(folder / line.file, root))
        for folder, path in _label_files(config).items()
        for line in read_label_file(path, config.label_column)
    ]
    has_split_folders = all(_split_of_folder(line) for line in lines if line.split is None)
    return [
        line._replace(split=_split_of_folder(line) if has_split_folders else None)
        if line.split is None
        else line._replace(split=_split_of_column(line, line.split))
        for line in lines
    ]


def _split_of_folder(line: LabelLine) -> str | None:
    return SPLIT_FOLDERS.get(line.file.split("/")[0].lower())


def _split_of_column(line: LabelLine, stated: str) -> str:
    if (split := SPLIT_FOLDERS.get(stated.lower())) is None:
        raise DatasetUnusable(f"{line.place}: {SPLIT_COLUMN} is {stated!r}, but must be one of {', '.join(SPLITS)}.")
    return split


def find_label_file(root: Path, label_column: str) -> str | None:
    """Find Hugging Face's metadata with labels in a folder, or in its folders of splits; None if there are none.

    Raises:
        DatasetUnusable: if a file cannot be read, or files of two kinds have labels.
    """
    folders = (root, *find_splits(root)[0])
    files = [folder / name for name in METADATA_FILES for folder in folders if (folder / name).is_file()]
    labelled = {file.name: file for file in files if label_column in list_columns(file)}
    if len(labelled) > 1:
        raise DatasetUnusable(f"{' and '.join(map(str, labelled.values()))} both have labels; remove one of them.")
    return next(iter(labelled), None)


def _label_files(config: DatasetConfig) -> dict[Path, Path]:
    """The file of labels for the whole folder, or for each folder of a split, by this folder."""
    root, name = Path(str(config.path)), str(config.labels)
    files = {folder: folder / name for folder in (root, *find_splits(root)[0]) if (folder / name).is_file()}
    if not files:
        raise DatasetUnusable(f"There is no file {root / name}; set dataset.labels to the file of the labels.")
    return {root: files[root]} if root in files else files


def _require_all_listed(
    pictures: Mapping[str, os.DirEntry[str]], lines: Sequence[LabelLine], config: DatasetConfig
) -> None:
    """Raise `DatasetUnusable` unless each line has its picture, and each picture its line."""
    root = Path(str(config.path))
    for line in lines:
        if line.file not in pictures:
            exists = isfile(root / line.file)  # noqa: PTH113 (a name may be too long, or hold a null character)
            problem = "is no picture, or hidden" if exists else "does not exist"
            raise DatasetUnusable(f"{line.place}: {root / line.file} {problem}; correct or remove the line.")
    listed = {line.file for line in lines}
    unlisted = [picture for file, picture in pictures.items() if file not in listed]
    if unlisted:
        more = f" (and {len(unlisted) - 1:,} more)" if len(unlisted) > 1 else ""
        raise DatasetUnusable(
            f"{unlisted[0].path} has no line in {config.labels}, so it has no label{more}; add one, or move the "
            "picture away."
        )


def _choose_split(line: LabelLine, config: DatasetConfig) -> str:
    """The split of a picture. Raises `DatasetUnusable` if it is stated nowhere, or ``folder_split`` beside it."""
    if config.folder_split is not None and line.split is None:
        return config.folder_split
    if config.folder_split is None and line.split is not None:
        return line.split
    raise DatasetUnusable(
        f"{line.place}: {line.file} is in the {line.split} split; remove dataset.folder_split, which is for pictures "
        "without splits."
        if line.split
        else f"{line.place}: {line.file} has no {SPLIT_COLUMN}, and not all pictures lie in folders train, test or "
        "valid; add such a column or, if there are no splits, set dataset.folder_split: train."
    )


def _draw_test(files: Sequence[str], fraction: float) -> set[str]:
    """Draw a fraction of the files, rounded up, but never all; by hash, so that new files change the draw little."""
    # As it is written: 0.07 of 100 files in floats is a little more than 7.
    count = min(math.ceil(Fraction(str(fraction)) * len(files)), len(files) - 1)
    return set(sorted(files, key=lambda file: hashlib.sha256(os.fsencode(file)).digest())[:count])


def open_image_folder(config: DatasetConfig) -> ImageFolderSource:
    """Open a folder of pictures, with labels from its folders or from a file.

    Raises:
        DatasetUnusable: if its folders or its file of labels are not as described.
    """
    return ImageFolderSource(config) if config.labels is None else LabelFileSource(config)


SOURCES: Final[dict[SourceName, Callable[[DatasetConfig], ImageSource]]] = {
    "digits": open_digits,
    "cifar10": open_torchvision,
    "fashion_mnist": open_torchvision,
    "image_folder": open_image_folder,
}


def open_source(config: DatasetConfig) -> ImageSource:
    """Open the source of a dataset.

    Raises:
        DatasetUnusable: if it is missing, or its folders are not laid out as described.
    """
    return SOURCES[config.source](config)

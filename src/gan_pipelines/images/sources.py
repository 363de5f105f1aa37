"""Where images come from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_pipelines.hashing import hash_arrays, hash_values
from gan_pipelines.images.config import DatasetConfig, SourceName
from gan_pipelines.images.decoding import read_picture
from gan_pipelines.images.errors import DatasetUnusable

SPLITS = ("train", "test", "valid")
"""In this order splits lie in an ImageSet: train and test, which some experiments train on together, side by side."""
SPLIT_FOLDERS: Final = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("valid", "val", "validation", "dev"), "valid"
)


class SourceItem(NamedTuple):
    """The split of an image and its class index."""

    split: str
    label: int


class ImageSource(Protocol):
    """Labelled pictures of any size and mode, read one by one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; an item's label is an index into them."""

    @property
    def items(self) -> Sequence[SourceItem]:
        """Split and label of each picture."""

    @property
    def fingerprint(self) -> str:
        """Hash of what the pictures come from: where it is the same, so are the pictures."""

    @property
    def is_in_memory(self) -> bool:
        """Whether reading a picture costs next to nothing, so that it is not worth sharing among processes."""

    def read(self, index: int) -> Image.Image:
        """Decode the picture of one item. Raises `BadImage` if it cannot be decoded."""


class ArraySource:
    """Pictures that are arrays in memory: (N, H, W) or (N, H, W, 3) uint8."""

    is_in_memory = True

    def __init__(self, pixels: NDArray[np.uint8], items: Sequence[SourceItem], class_names: Sequence[str]) -> None:
        self._pixels = pixels
        self.items = items
        self.class_names = tuple(class_names)
        splits, labels = (np.array(column) for column in zip(*items, strict=True))
        self.fingerprint = hash_arrays([pixels, splits, labels, np.array(self.class_names)])

    def read(self, index: int) -> Image.Image:
        """Wrap one array as a picture."""
        return Image.fromarray(self._pixels[index])


def open_digits(config: DatasetConfig) -> ArraySource:
    """Open the 1,797 handwritten digits that scikit-learn ships: 8x8, 16 grey levels, ten classes.

    Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits". They have no splits of their own: 70 % train,
    10 % valid and 20 % test, stratified by class, by a fixed seed.
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
    """Open CIFAR-10 or Fashion-MNIST, train and test, from torchvision's own files under the configured path.

    Raises:
        DatasetUnusable: if the files are not there and may not, or cannot, be downloaded.
    """
    from torchvision import datasets  # noqa: PLC0415 (PyTorch: not for image folders)

    dataset = {"cifar10": datasets.CIFAR10, "fashion_mnist": datasets.FashionMNIST}[config.source]
    try:
        parts = {split: dataset(config.path, train=split == "train", download=config.download) for split in SPLITS[:2]}
    except (RuntimeError, OSError) as error:
        remedy = "put torchvision's files there, or use source: image_folder"
        tried = "could not be downloaded to" if config.download else "is not in"
        allow = "" if config.download else ", set dataset.download: true"
        raise DatasetUnusable(f"{dataset.__name__} {tried} {config.path}; {remedy}{allow}.") from error
    items = [SourceItem(split, int(label)) for split, part in parts.items() for label in part.targets]
    pixels = np.concatenate([np.asarray(part.data) for part in parts.values()])
    return ArraySource(pixels, items, parts["train"].classes)


class ImageFolderSource:
    """Pictures in folders: ``<split>/<class>/*``, or ``<class>/*`` of one split; the folders' names are the classes."""

    is_in_memory = False

    def __init__(self, root: Path, folder_split: str | None, image_size: int) -> None:
        if not root.is_dir():
            raise DatasetUnusable(f"There is no folder {root}; set dataset.path to the folder of the images.")
        split_folders = _split_folders(root, folder_split)
        self._image_size = image_size
        self._paths: list[Path] = []
        self.items: list[SourceItem] = []
        names = {child.name for folder in split_folders.values() for child in _subfolders(folder)}
        self.class_names = tuple(sorted(names))
        if len(self.class_names) < 2:
            found = ", ".join(self.class_names) or "no subfolder"
            raise DatasetUnusable(f"{root} needs at least two folders of classes, and has {found}.")
        stamps: list[tuple[str, int, int]] = []
        for split, folder in split_folders.items():
            for label, name in enumerate(self.class_names):
                files = _picture_files(folder / name)
                self._paths += files
                self.items += [SourceItem(split, label)] * len(files)
                stats = [(file.relative_to(root).as_posix(), file.stat()) for file in files]
                stamps += [(place, stat.st_size, stat.st_mtime_ns) for place, stat in stats]
        self.fingerprint = hash_values(json.dumps(stamps), self.class_names)

    def read(self, index: int) -> Image.Image:
        """Decode one file. Raises `BadImage` if it cannot be decoded."""
        return read_picture(self._paths[index], self._image_size)


def _split_folders(root: Path, folder_split: str | None) -> dict[str, Path]:
    """The folder of each split, in the order in which splits lie in an ImageSet."""
    folders = {child.name.lower(): child for child in _subfolders(root)}
    found = {split: folders[name] for name, split in SPLIT_FOLDERS.items() if name in folders}
    if found:
        return {split: found[split] for split in SPLITS if split in found}
    if folder_split is None:
        raise DatasetUnusable(
            f"{root} has no folder train, test or valid; "
            "if its folders are the classes, set dataset.folder_split: train."
        )
    return {folder_split: root}


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _picture_files(folder: Path) -> list[Path]:
    """Files whose names end like a picture's. Raises `DatasetUnusable` if a folder of a class has none."""
    known = Image.registered_extensions()
    if not folder.is_dir():
        raise DatasetUnusable(f"There is no folder {folder}: every split needs every class; add it.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in known and not file.name.startswith("."))
    if not files:
        raise DatasetUnusable(f"{folder} holds no picture; add some, or remove the folder.")
    return files


SOURCES: Final[dict[SourceName, Callable[[DatasetConfig], ImageSource]]] = {
    "digits": open_digits,
    "cifar10": open_torchvision,
    "fashion_mnist": open_torchvision,
    "image_folder": lambda config: ImageFolderSource(Path(str(config.path)), config.folder_split, config.image_size),
}


def open_source(config: DatasetConfig) -> ImageSource:
    """Open the source that a configuration names.

    Raises:
        DatasetUnusable: if it is not there, or not laid out as it should be.
    """
    return SOURCES[config.source](config)

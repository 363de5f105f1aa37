"""Which pictures lie where in a folder, its splits and its classes."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gan_pipelines.core.errors import printable
from gan_pipelines.images.config import SplitName
from gan_pipelines.images.errors import DatasetUnusable
from gan_pipelines.images.formats import is_hidden_picture, is_picture
from gan_pipelines.images.label_files import compose

SPLITS = ("train", "test", "valid")
"""Order of the splits in an ImageSet. Train and test are adjacent: experiments that train on both get a view."""
SPLIT_FOLDERS: Final = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("valid", "val", "validation", "dev"), "valid"
)
HIDDEN = "hidden pictures"
"""Pictures that are left out since their name, or that of their folder, begins with a dot."""


def find_split_folders(root: Path, folder_split: str | None) -> dict[str, Path]:
    """The folder of each split, in the order of `SPLITS`."""
    splits, others = find_splits(root)
    if folder_split is not None:
        if splits and all(list_subfolders(child) for child in splits):
            raise DatasetUnusable(
                f"{root} has folders of splits ({', '.join(child.name for child in splits)}); "
                "remove dataset.folder_split, which is for folders of classes alone."
            )
        return {folder_split: root}
    if not splits:
        raise DatasetUnusable(
            f"{root} has no folder train, test or valid; "
            "if its folders are the classes, set dataset.folder_split: train."
        )
    if others:
        raise DatasetUnusable(
            f"{splits[0]} has the name of a split, and {others[0]} has not; if both are classes, set "
            f"dataset.folder_split: train, and if {splits[0].name} is a split, rename {others[0].name}, or move it "
            "away."
        )
    found: dict[str, Path] = {}
    for child in splits:
        split = SPLIT_FOLDERS[child.name.lower()]
        if split in found:
            raise DatasetUnusable(f"{found[split]} and {child} are both the {split} split; put them into one folder.")
        found[split] = child
    return {split: found[split] for split in SPLITS if split in found}


def find_splits(root: Path) -> tuple[list[Path], list[Path]]:
    """List the folders that have the name of a split, and the others."""
    subfolders = list_subfolders(root)
    splits = [child for child in subfolders if child.name.lower() in SPLIT_FOLDERS]
    return splits, [child for child in subfolders if child not in splits]


def find_folder_split(root: Path) -> SplitName | None:
    """Find the `DatasetConfig.folder_split` of a folder: None if it has folders of splits, else ``train``.

    Beside folders of other names, one named like a split is a split only if it has folders of classes itself.
    """
    splits, others = find_splits(root)
    has_splits = any(list_subfolders(child) for child in splits) if others else bool(splits)
    return None if has_splits else "train"


def find_pictures(root: Path) -> tuple[dict[str, os.DirEntry[str]], Counter[str]]:
    """Find the pictures in a folder and all folders in it, by composed relative path, and count all other files."""
    found: dict[str, os.DirEntry[str]] = {}
    others: Counter[str] = Counter()
    for folder in _walk(root):
        pictures, more = list_files(folder)
        others.update(more)
        others[HIDDEN] += count_hidden(folder)
        found |= {compose(relative_name(picture, root)): picture for picture in pictures}
    return found, others


def _walk(folder: Path) -> Iterator[Path]:
    yield folder
    for subfolder in list_subfolders(folder):
        if subfolder.is_symlink() and folder.resolve().is_relative_to(subfolder.resolve()):
            raise DatasetUnusable(f"{subfolder} is a link to a folder that it lies in; remove it.")
        yield from _walk(subfolder)


def relative_name(path: str | os.PathLike[str], root: Path) -> str:
    """The path relative to a folder, with forward slashes."""
    return Path(path).relative_to(root).as_posix()


def find_class_folders(split_folder: Path) -> dict[str, Path]:
    """Find the folder of each class, by the class's name.

    Raises:
        DatasetUnusable: if pictures lie beside the folders, without a label, or a name is no name of a class.
    """
    pictures, _ = list_files(split_folder)
    if pictures:
        raise DatasetUnusable(
            f"{pictures[0].path} lies in no folder of a class, so it has no label; move it into one (all into the "
            "same, if there are no classes: dcgan asks for none); labels of a dataset may also be in a file, "
            "dataset.labels."
        )
    found: dict[str, Path] = {}
    for folder in list_subfolders(split_folder):
        name = _class_name(folder)
        if name in found:
            raise DatasetUnusable(
                f"{split_folder} has two folders {name}, whose names are spelt with different Unicode characters; put "
                "their pictures into one."
            )
        found[name] = folder
    return found


def _class_name(folder: Path) -> str:
    """The composed name of a folder."""
    if printable(folder.name) != folder.name:
        raise DatasetUnusable(f"{folder} is the name of a class, but not UTF-8; rename the folder.")
    return compose(folder.name)


def list_class_files(folder: Path) -> tuple[list[os.DirEntry[str]], Counter[str]]:
    """List the `_files` of a class. Raises `DatasetUnusable` if there are none, or if the folder has subfolders."""
    with os.scandir(folder) as entries:
        nested = sorted(entry.name for entry in entries if _is_folder(entry) and not entry.name.startswith("."))
    if nested:
        raise DatasetUnusable(f"{folder / nested[0]} is a folder within a class; move its pictures up, or remove it.")
    pictures, others = list_files(folder)
    if not pictures:
        raise DatasetUnusable(f"{folder} holds no picture; add some, or remove the folder.")
    return pictures, others


def read_status(file: os.DirEntry[str]) -> os.stat_result:
    """The status of a file, or of a link that is broken. Raises `DatasetUnusable` for pipes and devices."""
    try:
        found = file.stat()
    except OSError:
        return file.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):  # reading it might never end
        raise DatasetUnusable(f"{file.path} is neither a file nor a folder; remove it.")
    return found


def list_subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder. Raises `DatasetUnusable` if one of them is a broken link."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in found:
        if entry.is_symlink() and not Path(entry).exists():
            raise DatasetUnusable(f"{entry.path} is a broken link (to {Path(entry).readlink()}); mend or remove it.")
    return sorted(Path(entry) for entry in found if entry.is_dir())


def count_hidden(folder: Path) -> int:
    """Count the pictures in hidden folders of a folder: they are left out, and might be meant as classes."""
    hidden = [entry for entry in os.scandir(folder) if entry.name.startswith(".") and _is_folder(entry)]
    return sum(is_hidden_picture(name) for entry in hidden for _, _, names in os.walk(entry) for name in names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def list_files(folder: Path) -> tuple[list[os.DirEntry[str]], Counter[str]]:
    """List the pictures by name, and count all other files by suffix."""
    pictures: list[os.DirEntry[str]] = []
    others: Counter[str] = Counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                continue
            if entry.name.startswith("."):
                others[HIDDEN] += is_hidden_picture(entry.name)
            elif is_picture(entry.path):
                pictures.append(entry)
            else:
                others[Path(entry.name).suffix.lower()] += 1
    return sorted(pictures, key=lambda entry: entry.name), others

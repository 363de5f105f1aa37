"""Pictures that another program has made, prepared as those of a dataset are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gan_pipelines.core.config import ConfigError, require, suggest
from gan_pipelines.core.files import folder_name
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images.config import DatasetConfig, FolderConfig
from gan_pipelines.images.errors import DatasetUnusable
from gan_pipelines.images.image_set import ImageSet
from gan_pipelines.images.listing import find_folder_split
from gan_pipelines.images.prepare import prepare_pictures
from gan_pipelines.images.sources import SINGLE_CLASS, PlainFolderSource

UNLABELLED = (SINGLE_CLASS,)
"""Names of the classes of pictures that lie in no folder of a class."""


def read_folder(
    store: KeyedStore, folder: FolderConfig, dataset: DatasetConfig, class_names: Sequence[str]
) -> ImageSet:
    """Return the pictures of a folder, of one size with those of a dataset; decode them unless the store holds them.

    Args:
        store: images of earlier calls.
        folder: the folder.
        dataset: how its pictures are prepared: as those of the dataset, whose range of values ``value_range`` is.
        class_names: names of the dataset's classes.

    Returns:
        all pictures as one split. Their labels are those of the dataset, of which a class may have no picture; of
        pictures that all lie in one folder, the names of the classes are `UNLABELLED`, unless the dataset has only one.

    Raises:
        DatasetUnusable: if the folder is missing or holds no picture, or has folders of splits.
        ConfigError: if no folder is stated, or one within it is named by no class of the dataset.
        BadImage: if a picture cannot be decoded and ``on_bad_image`` is ``error``; if disk or memory failed.
    """
    images = prepare_pictures(store, dataset, open_folder(folder, dataset, class_names))
    places = _places(class_names)
    if _is_unlabelled(images.class_names, class_names):
        if len(class_names) > 1:
            return images
        places = {SINGLE_CLASS: 0}
    labels = np.array([places[name] for name in images.class_names], dtype=np.int64)
    return replace(images, labels=labels[images.labels], class_names=tuple(class_names))


def open_folder(folder: FolderConfig, dataset: DatasetConfig, class_names: Sequence[str]) -> PlainFolderSource:
    """Open the pictures of a folder and check the names of its classes; raises what `read_folder` does."""
    require(bool(folder.path), "folder.path", folder.path, "the folder of the pictures: --params=folder.path=<folder>")
    config = replace(dataset, source="image_folder", path=folder.path, labels=None, label_column="label")
    source = open_plain_folder(replace(config, folder_split="train", test_fraction=0.0))
    known = _places(class_names)
    for name in () if _is_unlabelled(source.class_names, class_names) else source.class_names:
        if name not in known:
            raise ConfigError(
                f"has a folder {name}, which is no class of the dataset; {suggest(name, [*known])}", "folder.path"
            )
    return source


def _places(class_names: Sequence[str]) -> dict[str, int]:
    """Index of each class by the name of its folder, which is that of a class but for slashes."""
    return {folder_name(name): place for place, name in enumerate(class_names)}


def _is_unlabelled(found: Sequence[str], class_names: Sequence[str]) -> bool:
    return tuple(found) == UNLABELLED and SINGLE_CLASS not in class_names


def open_plain_folder(config: DatasetConfig) -> PlainFolderSource:
    """Open pictures in folders named by class, or all in one folder.

    Raises:
        DatasetUnusable: if the folder is missing or holds no picture, or has folders of splits.
    """
    if not (root := Path(str(config.path))).is_dir():
        raise DatasetUnusable(f"There is no folder {root}; name one that holds pictures.")
    if find_folder_split(root) is None:
        raise DatasetUnusable(f"{root} has folders of splits; name one of them.")
    return PlainFolderSource(config)

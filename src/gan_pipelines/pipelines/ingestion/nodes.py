"""Nodes of the ingestion."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_pipelines import figures, images
from gan_pipelines.core.stores import KeyedStore

logger = logging.getLogger(__name__)

IMAGES_SHOWN = 64  # as many as in the sample grids of a training


def prepare_images(
    image_sets: KeyedStore, dataset: images.DatasetConfig
) -> tuple[images.ImageSet, images.ImageSet, dict[str, Any]]:
    """Prepare a dataset, unless the store holds it; return all images, those to train on, and the manifest."""
    image_set = images.prepare_image_set(image_sets, dataset)
    _tell_of_files(image_set)
    if image_set.duplicates:
        logger.info(
            "Images with a duplicate or near-duplicate in another split: %d. The manifest lists them.",
            len(image_set.duplicates),
        )
    if image_set.conflicts:
        logger.warning(
            "Images that are in another class too, so one of their labels is wrong: %d. The manifest lists them.",
            len(image_set.conflicts),
        )
    return image_set, image_set.select(*dataset.train_splits), image_set.manifest()


def prepare_folder(
    image_sets: KeyedStore, image_set: images.ImageSet, dataset: images.DatasetConfig, folder: images.FolderConfig
) -> tuple[images.ImageSet, dict[str, Any]]:
    """Prepare pictures that were made elsewhere, unless the store holds them; return them and their manifest."""
    prepared_alike = replace(dataset, value_range=image_set.value_range)
    pictures = images.read_folder(image_sets, folder, prepared_alike, image_set.class_names)
    _tell_of_files(pictures)
    return pictures, {"name": folder.label, **pictures.manifest()}


def _tell_of_files(image_set: images.ImageSet) -> None:
    """Log what was left out, and what was read differently."""
    if image_set.skipped:
        logger.warning("Pictures left out: %d. The manifest lists them.", len(image_set.skipped))
    if image_set.left_out:
        logger.info(
            "Files that are no pictures, or hidden: %d. The manifest counts them.", sum(image_set.left_out.values())
        )
    if image_set.first_frames:
        logger.warning(
            "Animated files, or of several pages, of which only the first is used: %d. The manifest lists them.",
            len(image_set.first_frames),
        )
    if image_set.value_range is not None:
        logger.info("In pictures of more than 8 bits %g is black and %g white", *image_set.value_range)


def show_images(train_images: images.ImageSet) -> dict[str, NDArray[np.uint8]]:
    """Make a grid of real images that cycles through the classes, as sample grids do."""
    return {"real": _make_grid(train_images)}


def show_pictures(pictures: images.ImageSet) -> dict[str, NDArray[np.uint8]]:
    """Make the same grid of pictures that were made elsewhere."""
    return {"grid": _make_grid(pictures)}


def _make_grid(image_set: images.ImageSet) -> NDArray[np.uint8]:
    return figures.make_image_grid(image_set.images[image_set.rows_by_class_in_turn(IMAGES_SHOWN)])

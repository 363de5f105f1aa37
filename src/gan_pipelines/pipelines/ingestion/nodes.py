"""Nodes of the ingestion."""

from __future__ import annotations

import logging
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
    if image_set.skipped:
        logger.warning("%d pictures were left out: the manifest lists them", len(image_set.skipped))
    if image_set.left_out:
        logger.info("%d files are no pictures, or hidden: the manifest counts them", sum(image_set.left_out.values()))
    if image_set.first_frames:
        logger.warning(
            "%d files are animated or have several pages, of which only the first is used: the manifest lists them",
            len(image_set.first_frames),
        )
    if image_set.value_range is not None:
        logger.info("In pictures of more than 8 bits %g is black and %g white", *image_set.value_range)
    if image_set.duplicates:
        logger.info(
            "%d images have a duplicate or near-duplicate in another split: the manifest lists them",
            len(image_set.duplicates),
        )
    if image_set.conflicts:
        logger.warning(
            "%d images are in another class too, so one of their labels is wrong: the manifest lists them",
            len(image_set.conflicts),
        )
    return image_set, image_set.select(*dataset.train_splits), image_set.manifest()


def show_images(train_images: images.ImageSet) -> dict[str, NDArray[np.uint8]]:
    """Make a grid of real images that cycles through the classes, as sample grids do."""
    shown = train_images.images[train_images.rows_by_class_in_turn(IMAGES_SHOWN)]
    return {"real": figures.make_image_grid(shown)}

"""Nodes of the ingestion."""

from __future__ import annotations

import logging
from typing import Any

from gan_pipelines import images
from gan_pipelines.stores import KeyedStore
from gan_pipelines.typed_config import from_dict

logger = logging.getLogger(__name__)


def prepare_images(
    image_sets: KeyedStore, dataset: dict[str, Any]
) -> tuple[images.ImageSet, images.ImageSet, dict[str, Any]]:
    """Resize the images of a dataset, unless the store holds them; return all, those to train on, and the manifest."""
    config = from_dict(images.DatasetConfig, dataset, "dataset")
    image_set = images.prepare_image_set(image_sets, config)
    if image_set.skipped:
        logger.warning("%d pictures were left out: the manifest lists them", len(image_set.skipped))
    if image_set.duplicates:
        logger.info(
            "%d images stand in two splits, the same or nearly: the manifest lists them", len(image_set.duplicates)
        )
    return image_set, image_set.select(*config.train_splits), image_set.manifest()

"""Nodes of the ingestion."""

from __future__ import annotations

from typing import Any

from gan_pipelines import images
from gan_pipelines.stores import KeyedStore
from gan_pipelines.typed_config import from_dict


def prepare_images(
    image_sets: KeyedStore, dataset: dict[str, Any]
) -> tuple[images.ImageSet, images.ImageSet, dict[str, Any]]:
    """Resize the images of a dataset, unless the store holds them; return all, those to train on, and the manifest."""
    config = from_dict(images.DatasetConfig, dataset, "dataset")
    image_set = images.prepare_image_set(image_sets, config)
    return image_set, image_set.select(*config.train_splits), image_set.manifest()

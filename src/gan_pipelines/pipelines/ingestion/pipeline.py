"""The ingestion pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.ingestion.nodes import prepare_images, show_images


def create_pipeline() -> Pipeline:
    """From a source of images to an image set."""
    return Pipeline(
        [
            node(
                prepare_images,
                inputs=["image_sets", "params:dataset"],
                outputs=["image_set", "train_images", "manifest"],
                name="prepare_images",
            ),
            node(show_images, inputs="train_images", outputs="image_grid", name="show_images"),
        ]
    )

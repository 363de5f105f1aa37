"""The ingestion pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.ingestion.nodes import prepare_folder, prepare_images, show_images, show_pictures

FOLDER = "folder"
"""Namespace of pictures that were made elsewhere, where that of a generator is the name of its variant."""


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


def create_folder_pipeline() -> Pipeline:
    """From a folder to pictures that can be compared with those of the dataset."""
    settings = ["params:dataset", "params:folder"]
    return create_pipeline() + Pipeline(
        [
            node(
                prepare_folder,
                inputs=["image_sets", "image_set", *settings],
                outputs=["pictures", "pictures_manifest"],
                name="prepare_folder",
            ),
            node(show_pictures, inputs="pictures", outputs="samples_grid", name="show_pictures"),
        ],
        namespace=FOLDER,
        inputs={"image_sets", "image_set"},
        parameters={*settings},
    )

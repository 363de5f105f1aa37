"""The sampling pipeline of one variant."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.sampling.nodes import make_samples


def create_pipeline(variant: str) -> Pipeline:
    """From a generator to images, a folder for each class, and a grid."""
    return Pipeline(
        [
            node(
                make_samples,
                inputs=["generator", "params:sampling", "params:runtime.device"],
                outputs=["samples", "samples_grid"],
                name="make_samples",
            )
        ],
        namespace=variant,
        parameters={"params:sampling", "params:runtime.device"},
    )

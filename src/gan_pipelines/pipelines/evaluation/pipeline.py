"""The evaluation pipeline of one variant."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.evaluation.nodes import open_extractor, score_generator


def create_pipeline(variant: str) -> Pipeline:
    """Generator and images to scores; the feature extractor is shared by all variants."""
    extraction = Pipeline(
        [
            node(
                open_extractor,
                inputs=["extractors", "image_set", "params:scoring", "params:runtime.device"],
                outputs="extractor",
                name="open_extractor",
            )
        ]
    )
    scoring = Pipeline(
        [
            node(
                score_generator,
                inputs=["generator", "image_set", "extractor", "params:scoring", "params:runtime.device"],
                outputs="scores",
                name="score_generator",
            )
        ],
        namespace=variant,
        inputs={"image_set", "extractor"},
        parameters={"params:scoring", "params:runtime.device"},
    )
    return extraction + scoring

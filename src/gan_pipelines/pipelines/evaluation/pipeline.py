"""The evaluation pipeline of one variant."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.evaluation.nodes import (
    make_monitor,
    open_extractor,
    open_reference,
    score_folder,
    score_generators,
    show_neighbours,
    show_neighbours_of_folder,
    summarize_scores,
)
from gan_pipelines.pipelines.ingestion import FOLDER


def create_measuring_pipeline() -> Pipeline:
    """From images to feature extractor and reference, shared by all variants."""
    settings = ["params:scoring", "params:runtime.device"]
    return Pipeline(
        [
            node(
                open_extractor,
                inputs=["extractors", "image_set", *settings],
                outputs="extractor",
                name="open_extractor",
            ),
            node(
                open_reference,
                inputs=["references", "image_set", "extractor", *settings],
                outputs="reference",
                name="open_reference",
            ),
        ]
    )


def create_monitoring_pipeline() -> Pipeline:
    """From images to the monitor of a training."""
    return create_measuring_pipeline() + Pipeline(
        [
            node(
                make_monitor,
                inputs=["extractor", "reference", "params:scoring", "params:runtime.device"],
                outputs="monitor",
                name="make_monitor",
            )
        ]
    )


def create_pipeline(variant: str) -> Pipeline:
    """From generators and real images to scores and nearest neighbours."""
    scoring = Pipeline(
        [
            node(
                score_generators,
                inputs=[
                    "generator",
                    "best_generator",
                    "extractor",
                    "reference",
                    "params:scoring",
                    "params:runtime.device",
                ],
                outputs="scores",
                name="score_generators",
            ),
            node(summarize_scores, inputs="scores", outputs="score_findings", name="summarize_scores"),
            node(
                show_neighbours,
                inputs=["generator", "extractor", "reference", "params:runtime.device"],
                outputs="neighbours",
                name="show_neighbours",
            ),
        ],
        namespace=variant,
        inputs={"extractor", "reference"},
        parameters={"params:scoring", "params:runtime.device"},
    )
    return create_measuring_pipeline() + scoring


def create_folder_pipeline() -> Pipeline:
    """From pictures made elsewhere and real images to scores and nearest neighbours."""
    settings = ["params:scoring", "params:dataset", "params:folder", "params:runtime.device"]
    scoring = Pipeline(
        [
            node(
                score_folder,
                inputs=["pictures", "extractor", "reference", *settings],
                outputs="scores",
                name="score_folder",
            ),
            node(summarize_scores, inputs="scores", outputs="score_findings", name="summarize_scores"),
            node(
                show_neighbours_of_folder,
                inputs=["pictures", "extractor", "reference", "params:runtime.device"],
                outputs="neighbours",
                name="show_neighbours_of_folder",
            ),
        ],
        namespace=FOLDER,
        inputs={"extractor", "reference"},
        parameters={*settings},
    )
    return create_measuring_pipeline() + scoring

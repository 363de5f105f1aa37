"""The evaluation pipelines: of one variant, and of pictures that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

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
    scoring = node(
        score_generators,
        inputs=["generator", "best_generator", "extractor", "reference", "params:scoring", "params:runtime.device"],
        outputs="scores",
        name="score_generators",
    )
    neighbours = node(
        show_neighbours,
        inputs=["generator", "extractor", "reference", "params:runtime.device"],
        outputs="neighbours",
        name="show_neighbours",
    )
    return _create_evaluation(variant, scoring, neighbours)


def create_folder_pipeline() -> Pipeline:
    """From pictures made elsewhere and real images to scores and nearest neighbours."""
    settings = ["params:dataset", "params:folder"]
    scoring = node(
        score_folder,
        inputs=["pictures", "extractor", "reference", "params:scoring", *settings, "params:runtime.device"],
        outputs="scores",
        name="score_folder",
    )
    neighbours = node(
        show_neighbours_of_folder,
        inputs=["pictures", "extractor", "reference", "params:runtime.device"],
        outputs="neighbours",
        name="show_neighbours_of_folder",
    )
    return _create_evaluation(FOLDER, scoring, neighbours, settings)


def _create_evaluation(namespace: str, scoring: Node, neighbours: Node, settings: Sequence[str] = ()) -> Pipeline:
    """Extractor, reference, scores with their summary, and neighbours.

    Args:
        namespace: name of the variant, or `FOLDER`.
        scoring: the node that makes the scores.
        neighbours: the node that shows neighbours.
        settings: parameters that these need, besides those of scores and device.
    """
    summary = node(summarize_scores, inputs="scores", outputs="score_findings", name="summarize_scores")
    return create_measuring_pipeline() + Pipeline(
        [scoring, summary, neighbours],
        namespace=namespace,
        inputs={"extractor", "reference"},
        parameters={"params:scoring", "params:runtime.device", *settings},
    )

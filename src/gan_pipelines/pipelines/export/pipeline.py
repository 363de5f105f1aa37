"""The export pipelines of one variant: to a model, and to scores of that model."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.evaluation import create_measuring_pipeline
from gan_pipelines.pipelines.export.nodes import compare_scores, export_generator, score_exported


def create_pipeline(variant: str, after: Sequence[str] = ()) -> Pipeline:
    """From a generator and its scores to a model.

    Args:
        variant: name of the variant.
        after: entries of the variant that are to be there before, although the export does not need them.
    """
    return Pipeline(
        [
            node(
                export_generator,
                inputs=["generator", "scores", "params:export", "params:experiment", *after],
                outputs="model",
                name="export_generator",
            )
        ],
        namespace=variant,
        parameters={"params:export", "params:experiment"},
    )


def create_scoring_pipeline(variant: str) -> Pipeline:
    """From a model and real images to scores of its files."""
    scoring = Pipeline(
        [
            node(
                score_exported,
                inputs=["model", "extractor", "reference", "params:scoring", "params:runtime.device"],
                outputs="exported_scores",
                name="score_exported",
            ),
            node(
                compare_scores,
                inputs=["exported_scores", "model"],
                outputs="exported_findings",
                name="compare_scores",
            ),
        ],
        namespace=variant,
        inputs={"extractor", "reference"},
        parameters={"params:scoring", "params:runtime.device"},
    )
    return create_measuring_pipeline() + scoring

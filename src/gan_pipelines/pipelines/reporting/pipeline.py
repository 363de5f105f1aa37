"""The comparison of all variants of an experiment."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.reporting.nodes import average_scores, plot_scores_by_epoch, tabulate_scores


def create_pipeline() -> Pipeline:
    """Scores and histories of all runs to tables and a figure."""
    return Pipeline(
        [
            node(average_scores, inputs="all_scores", outputs="average_scores", name="average_scores"),
            node(tabulate_scores, inputs="average_scores", outputs="score_table", name="tabulate_scores"),
            node(
                plot_scores_by_epoch,
                inputs="all_histories",
                outputs="scores_by_epoch",
                name="plot_scores_by_epoch",
            ),
        ]
    )

"""The comparison of all runs of an experiment."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.metrics import tabulate_scores
from gan_pipelines.pipelines.reporting.nodes import (
    average_scores,
    compare_recipes,
    interpolate_latents,
    list_runs,
    plot_scores_by_epoch,
    render_comparison,
)


def create_pipeline() -> Pipeline:
    """From the files of all runs to tables, figures and one page."""
    return Pipeline(
        [
            node(average_scores, inputs="all_runs", outputs="average_scores", name="average_scores"),
            node(tabulate_scores, inputs="average_scores", outputs="score_table", name="tabulate_scores"),
            node(compare_recipes, inputs="all_runs", outputs="recipe_comparisons", name="compare_recipes"),
            node(list_runs, inputs="all_runs", outputs="runs", name="list_runs"),
            node(plot_scores_by_epoch, inputs="all_runs", outputs="scores_by_epoch", name="plot_scores_by_epoch"),
            node(
                interpolate_latents,
                inputs=["all_runs", "params:runtime.device"],
                outputs="interpolations",
                name="interpolate_latents",
            ),
            node(
                render_comparison,
                inputs=[
                    "all_runs",
                    "average_scores",
                    "recipe_comparisons",
                    "runs",
                    "interpolations",
                    "image_grid",
                    "manifest",
                    "params:experiment",
                ],
                outputs="comparison",
                name="render_comparison",
            ),
        ]
    )

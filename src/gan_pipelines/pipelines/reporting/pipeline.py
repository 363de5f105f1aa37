"""The comparison of all runs of an experiment."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.reporting.nodes import (
    average_scores,
    compare_recipes,
    interpolate_latents,
    list_runs,
    plot_scores_by_epoch,
    read_runs,
    render_comparison,
    state_verdicts,
    tabulate_scores,
)


def create_pipeline() -> Pipeline:
    """From the files of all runs to tables, figures and one page."""
    return Pipeline(
        [
            node(read_runs, inputs="all_runs", outputs="runs_read", name="read_runs"),
            node(average_scores, inputs="runs_read", outputs="average_scores", name="average_scores"),
            node(tabulate_scores, inputs="average_scores", outputs="score_table", name="tabulate_scores"),
            node(compare_recipes, inputs="runs_read", outputs="recipe_comparisons", name="compare_recipes"),
            node(state_verdicts, inputs="recipe_comparisons", outputs="recipe_findings", name="state_verdicts"),
            node(list_runs, inputs="runs_read", outputs="runs", name="list_runs"),
            node(plot_scores_by_epoch, inputs="runs_read", outputs="scores_by_epoch", name="plot_scores_by_epoch"),
            node(
                interpolate_latents,
                inputs=["runs_read", "params:runtime.device"],
                outputs="interpolations",
                name="interpolate_latents",
            ),
            node(
                render_comparison,
                inputs=[
                    "runs_read",
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

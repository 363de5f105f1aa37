"""The augmentation experiment of one variant."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.augmentation.nodes import (
    compare_arms,
    fit_classifiers,
    make_synthetic_images,
    plot_arm_curves,
    plot_arms,
    separate_images,
    summarize_experiment,
    tabulate_fits,
    train_generators,
)
from gan_pipelines.pipelines.training import create_config_pipeline

SETTINGS = ["params:augmentation", "params:runtime.device"]


def create_pipeline(variant: str) -> Pipeline:
    """Images to generators on fractions of them, to classifiers with and without generated images, to a verdict."""
    separation = Pipeline(
        [
            node(
                separate_images,
                inputs="image_set",
                outputs=["image_splits", "leaks"],
                name="separate_images",
            )
        ]
    )
    experiment = Pipeline(
        [
            node(
                train_generators,
                inputs=[
                    "config",
                    "image_splits",
                    "replicate_checkpoints",
                    *SETTINGS,
                    "params:runtime.fresh",
                ],
                outputs="replicates",
                name="train_generators",
            ),
            node(
                make_synthetic_images,
                inputs=["replicates", "image_splits", *SETTINGS],
                outputs="synthetic_images",
                name="make_synthetic_images",
            ),
            node(
                fit_classifiers,
                inputs=["replicates", "image_splits", "fits", "tracker", *SETTINGS],
                outputs="arm_fits",
                name="fit_classifiers",
            ),
            node(
                tabulate_fits,
                inputs=["arm_fits", "image_splits"],
                outputs=["arm_scores", "arm_histories"],
                name="tabulate_fits",
            ),
            node(
                compare_arms,
                inputs=["arm_fits", "params:augmentation"],
                outputs=["comparisons", "verdicts"],
                name="compare_arms",
            ),
            node(
                summarize_experiment,
                inputs=["arm_scores", "comparisons", "verdicts"],
                outputs="augmentation_findings",
                name="summarize_experiment",
            ),
            node(plot_arms, inputs=["arm_scores", "comparisons"], outputs="arms_figure", name="plot_arms"),
            node(plot_arm_curves, inputs="arm_histories", outputs="arm_curves", name="plot_arm_curves"),
        ],
        namespace=variant,
        inputs={"image_splits", "tracker"},
        parameters={*SETTINGS, "params:runtime.fresh"},
    )
    return separation + create_config_pipeline(variant) + experiment

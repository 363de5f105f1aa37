"""The augmentation pipelines: of one variant, and of pictures that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

from gan_pipelines.pipelines.augmentation.nodes import (
    choose_synthetic_images,
    compare_arms,
    draw_replicates,
    fit_classifiers,
    make_synthetic_images,
    open_pool,
    plot_arm_curves,
    plot_arms,
    score_simple_classifiers,
    separate_images,
    summarize_experiment,
    tabulate_fits,
    train_generators,
)
from gan_pipelines.pipelines.ingestion import FOLDER
from gan_pipelines.pipelines.training import create_config_pipeline

SETTINGS = ["params:augmentation", "params:runtime"]
DEVICE = "params:runtime.device"


def create_pipeline(variant: str, after: Sequence[str] = ()) -> Pipeline:
    """From images to generators on fractions of them, to classifiers with and without synthetic images, to verdicts.

    Args:
        variant: name of the variant.
        after: entries of the variant for which the experiment waits.
    """
    training = node(
        train_generators,
        inputs=["config", "image_splits", "replicate_checkpoints", "monitor", "tracker", *SETTINGS, *after],
        outputs="replicates",
        name="train_generators",
    )
    return create_config_pipeline(variant) + _create_experiment(variant, [training], shared=["monitor"])


def create_folder_pipeline() -> Pipeline:
    """From images and pictures made elsewhere to classifiers with and without these pictures, to verdicts."""
    drawing = [
        node(
            open_pool,
            inputs=["pictures", "image_splits", "params:folder"],
            outputs=["pool", "near_copies", "near_copies_shown"],
            name="open_pool",
        ),
        node(
            draw_replicates,
            inputs=["image_splits", "pool", "params:augmentation"],
            outputs="replicates",
            name="draw_replicates",
        ),
    ]
    return _create_experiment(FOLDER, drawing, settings=["params:folder"], caveats=["near_copies"])


def _create_experiment(
    namespace: str,
    first: list[Node],
    *,
    shared: Sequence[str] = (),
    settings: Sequence[str] = (),
    caveats: Sequence[str] = (),
) -> Pipeline:
    """The experiment from its replicates on.

    Args:
        namespace: name of the variant, or `FOLDER`.
        first: the nodes that make the replicates.
        shared: entries without a namespace that these need, besides those of the other nodes.
        settings: parameters that these need, besides those of the other nodes.
        caveats: entries that the verdicts mention.
    """
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
            *first,
            node(
                make_synthetic_images,
                inputs=["replicates", "synthetic_store", "params:augmentation", DEVICE],
                outputs="synthetic_sets",
                name="make_synthetic_images",
            ),
            node(
                choose_synthetic_images,
                inputs=["replicates", "synthetic_sets"],
                outputs="synthetic_images",
                name="choose_synthetic_images",
            ),
            node(
                fit_classifiers,
                inputs=["replicates", "synthetic_sets", "image_splits", "fits", "tracker", *SETTINGS],
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
                score_simple_classifiers,
                inputs=["replicates", "image_splits", "references", "params:augmentation", DEVICE],
                outputs="simple_scores",
                name="score_simple_classifiers",
            ),
            node(
                compare_arms,
                inputs=["arm_fits", "simple_scores", "image_splits", "params:augmentation", *caveats],
                outputs=["comparisons", "class_comparisons", "verdicts"],
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
        namespace=namespace,
        inputs={"image_splits", "references", "tracker", *shared},
        parameters={*SETTINGS, DEVICE, *settings},
    )
    return separation + experiment

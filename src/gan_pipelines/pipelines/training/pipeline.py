"""The training pipeline of one variant."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from gan_pipelines.pipelines.training.nodes import (
    check_training,
    plot_losses,
    resolve_config,
    summarize_model,
    train_gan,
)


def create_config_pipeline(variant: str) -> Pipeline:
    """From parameters to the configuration of the variant."""
    return Pipeline(
        [
            node(
                resolve_config,
                inputs=["params:variant", "params:runtime.device"],
                outputs="config",
                name="resolve_config",
            )
        ],
        namespace=variant,
        parameters={
            "params:variant": f"params:variants.{variant}",
            "params:runtime.device": "params:runtime.device",
        },
    )


def create_pipeline(variant: str) -> Pipeline:
    """From images to a trained generator."""
    training = Pipeline(
        [
            node(summarize_model, inputs=["config", "train_images"], outputs="model_summary", name="summarize_model"),
            node(
                train_gan,
                inputs=[
                    "config",
                    "train_images",
                    "checkpoints",
                    "milestones",
                    "monitor",
                    "tracker",
                    "params:reporting",
                    "params:runtime",
                ],
                outputs=["generator", "best_generator", "history", "sample_grids"],
                name="train_gan",
            ),
            node(plot_losses, inputs="history", outputs="loss_curves", name="plot_losses"),
        ],
        namespace=variant,
        inputs={"train_images", "monitor", "tracker"},
        parameters={
            "params:reporting": "params:reporting",
            "params:runtime": "params:runtime",
        },
    )
    return create_config_pipeline(variant) + training


def create_check_pipeline(variant: str) -> Pipeline:
    """From the generator of a training that has failed to the end of its run, once the scores are saved.

    Kedro runs nodes by their distance from the inputs: figures of the training are saved before the scores.
    """
    return Pipeline(
        [
            node(
                check_training,
                inputs=["generator", "score_findings", "neighbours", "model"],
                outputs=None,
                name="check_training",
            )
        ],
        namespace=variant,
    )

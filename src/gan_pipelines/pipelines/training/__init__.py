"""Train one variant."""

from gan_pipelines.pipelines.training.pipeline import create_pipeline as create_pipeline

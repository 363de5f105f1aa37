"""Score the generator of one variant."""

from gan_pipelines.pipelines.evaluation.pipeline import create_pipeline as create_pipeline

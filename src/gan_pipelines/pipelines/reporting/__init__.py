"""Compare what was scored."""

from gan_pipelines.pipelines.reporting.pipeline import create_pipeline as create_pipeline

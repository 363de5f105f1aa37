"""Compare all scored runs of an experiment."""

from gan_pipelines.pipelines.reporting.pipeline import create_pipeline as create_pipeline

"""Bring images into the form that the project uses."""

from gan_pipelines.pipelines.ingestion.pipeline import create_pipeline as create_pipeline

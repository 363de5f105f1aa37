"""Prepare the images of a dataset."""

from gan_pipelines.pipelines.ingestion.pipeline import create_pipeline as create_pipeline

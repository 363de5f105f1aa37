"""Measure whether the synthetic images of one variant help a classifier."""

from gan_pipelines.pipelines.augmentation.pipeline import create_pipeline as create_pipeline

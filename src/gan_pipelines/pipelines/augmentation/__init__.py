"""Measure whether the synthetic images of a variant, or pictures that were made elsewhere, help a classifier."""

from gan_pipelines.pipelines.augmentation.pipeline import create_folder_pipeline as create_folder_pipeline
from gan_pipelines.pipelines.augmentation.pipeline import create_pipeline as create_pipeline

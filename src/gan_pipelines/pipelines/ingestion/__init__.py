"""Prepare the images of a dataset, and pictures that were made elsewhere."""

from gan_pipelines.pipelines.ingestion.pipeline import FOLDER as FOLDER
from gan_pipelines.pipelines.ingestion.pipeline import create_folder_pipeline as create_folder_pipeline
from gan_pipelines.pipelines.ingestion.pipeline import create_pipeline as create_pipeline

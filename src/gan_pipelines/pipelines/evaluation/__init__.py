"""Score the generators of one variant, after and during training, and pictures that were made elsewhere."""

from gan_pipelines.pipelines.evaluation.pipeline import create_folder_pipeline as create_folder_pipeline
from gan_pipelines.pipelines.evaluation.pipeline import create_measuring_pipeline as create_measuring_pipeline
from gan_pipelines.pipelines.evaluation.pipeline import create_monitoring_pipeline as create_monitoring_pipeline
from gan_pipelines.pipelines.evaluation.pipeline import create_pipeline as create_pipeline

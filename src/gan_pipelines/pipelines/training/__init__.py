"""Train one variant."""

from gan_pipelines.pipelines.training.pipeline import create_check_pipeline as create_check_pipeline
from gan_pipelines.pipelines.training.pipeline import create_config_pipeline as create_config_pipeline
from gan_pipelines.pipelines.training.pipeline import create_pipeline as create_pipeline

"""Export the generator of one variant as a model that others can use."""

from gan_pipelines.pipelines.export.pipeline import create_pipeline as create_pipeline
from gan_pipelines.pipelines.export.pipeline import create_scoring_pipeline as create_scoring_pipeline

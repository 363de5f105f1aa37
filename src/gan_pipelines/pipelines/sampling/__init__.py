"""Generate images with the generator of one variant."""

from gan_pipelines.pipelines.sampling.pipeline import create_pipeline as create_pipeline

"""Everything that can fail at the end of a run and be seen before its start."""

from __future__ import annotations

from typing import Any

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from gan_pipelines.configure import configure_gan
from gan_pipelines.devices import resolve_device
from gan_pipelines.gan import ImageShape, summarize_networks
from gan_pipelines.images import DatasetConfig
from gan_pipelines.metrics import ScoringConfig, open_inception
from gan_pipelines.typed_config import ConfigError, from_dict, require, suggest

VARIANT_PREFIX = "params:variants."


def check_run(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Check the parameters that a pipeline uses, the device, the networks, and the feature extractor.

    Raises:
        ProjectError: with a sentence that says what is wrong and what to do.
    """
    inputs = pipeline.inputs()
    variants = sorted(name.removeprefix(VARIANT_PREFIX) for name in inputs if name.startswith(VARIANT_PREFIX))
    if len(variants) > 1:
        raise ConfigError(
            f"One run trains one variant, and this one would train {' and '.join(variants)}: run each alone."
        )
    if "params:runtime.device" in inputs:
        resolve_device(_parameter(catalog, "params:runtime.device"))
    if "params:reporting.grid_every_epochs" in inputs:
        every = _parameter(catalog, "params:reporting.grid_every_epochs")
        require(isinstance(every, int) and every >= 1, "reporting.grid_every_epochs", every, "a whole number above 0")
    if "params:dataset" in inputs:
        dataset = from_dict(DatasetConfig, _parameter(catalog, "params:dataset"), "dataset")
        for variant in variants:
            _check_variant(variant, catalog, dataset)
    if "params:scoring" in inputs:
        scoring = from_dict(ScoringConfig, _parameter(catalog, "params:scoring"), "scoring")
        if scoring.extractor == "inception":
            open_inception(scoring.inception_weights)


def _check_variant(variant: str, catalog: DataCatalog, dataset: DatasetConfig) -> None:
    overrides = _parameter(catalog, f"{VARIANT_PREFIX}{variant}")
    config = configure_gan(variant, overrides)
    summarize_networks(config, ImageShape(dataset.channels, dataset.image_size, dataset.image_size), num_classes=0)


def _parameter(catalog: DataCatalog, name: str) -> Any:
    if name not in catalog:
        known = [key.removeprefix("params:") for key in catalog.keys() if key.startswith("params:")]  # noqa: SIM118
        wanted = name.removeprefix("params:")
        raise ConfigError(f"The parameters of this environment lack {wanted}; {suggest(wanted, known)}")
    return catalog.load(name)

"""From the parameters of a run to typed configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.typed_config import from_dict, merge, require


def configure_gan(variant: str, overrides: Mapping[str, Any] | None) -> GanConfig:
    """Lay the parameters of a variant, None if there are none, over its row in the table of variants.

    Raises:
        ConfigError: if a setting is unknown, has the wrong type, or is not allowed.
    """
    path, overrides = f"variants.{variant}", overrides or {}
    require(isinstance(overrides, Mapping), path, overrides, "a mapping of settings")
    return from_dict(GanConfig, merge(asdict(VARIANTS[variant]), overrides), path)

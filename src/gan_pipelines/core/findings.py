"""Results of a run in brief."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Findings:
    """Results in brief: metrics and tags for MLflow, sentences for the terminal and the description of the run.

    Attributes:
        metrics: values of the whole run, by name.
        tags: texts to search runs by.
        sentences: results in words, one line each.
    """

    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    sentences: tuple[str, ...]


def name_fraction(fraction: float) -> str:
    """Name a fraction of the real images: ``2.5% of the real images``."""
    return f"{100 * fraction:g}% of the real images"

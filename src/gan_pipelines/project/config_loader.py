"""Loading of parameters: where they are, and how an environment changes those of base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.utils import find_kedro_project, is_kedro_project


def find_project(settings: Path) -> Path:
    """Find the folder of the project: of an installed package it is the working directory, as for Kedro.

    Args:
        settings: ``settings.py`` of the package.
    """
    sources = settings.resolve().parents[2]
    if is_kedro_project(sources):
        return sources
    return find_kedro_project(Path.cwd()) or Path.cwd()


class ExperimentConfigLoader(OmegaConfigLoader):
    """Loads an experiment (``--env``) so that each section it states replaces the whole section of base.

    Without ``--env``, ``conf/local`` is read: it changes only the settings that it names, at any depth.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(conf_source, env, *args, **kwargs)
        if env in (None, self.default_run_env):
            self.merge_strategy = {**self.merge_strategy, "parameters": "soft"}

"""Loading of parameters: how an environment changes those of base."""

from __future__ import annotations

from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf.errors import GrammarParseError, InterpolationKeyError

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.errors import first_line


class ExperimentConfigLoader(OmegaConfigLoader):
    """Loads an experiment (``--env``) so that each section it states replaces the whole section of base.

    Without ``--env``, ``conf/local`` is read: it changes only the settings that it names, at any depth.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(conf_source, env, *args, **kwargs)
        if env in (None, self.default_run_env):
            self.merge_strategy = {**self.merge_strategy, "parameters": "soft"}

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Load a section of the configuration. Raises `ConfigError` if a text has ``${`` and means no setting."""
        try:
            return super().__getitem__(key)
        except (GrammarParseError, InterpolationKeyError) as error:
            raise ConfigError(
                f"{error.full_key or key} has ${{...}}, which stands for another setting ({first_line(error)}); "
                "name one that exists, or write \\${ for the text itself."
            ) from error

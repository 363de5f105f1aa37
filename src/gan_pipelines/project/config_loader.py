"""Loading of parameters: how an environment changes those of base."""

from __future__ import annotations

from typing import Any

from kedro.config import OmegaConfigLoader


class ExperimentConfigLoader(OmegaConfigLoader):
    """Loads an experiment (``--env``) so that each section it states replaces the whole section of base.

    Without ``--env``, ``conf/local`` is read: it changes only the settings that it names, at any depth.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(conf_source, env, *args, **kwargs)
        if env in (None, self.default_run_env):
            self.merge_strategy = {**self.merge_strategy, "parameters": "soft"}

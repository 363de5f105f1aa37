"""How the settings of an environment are laid over those of base."""

from __future__ import annotations

from typing import Any

from kedro.config import OmegaConfigLoader


class ExperimentConfigLoader(OmegaConfigLoader):
    """An experiment (``--env``) stands alone: each section that it states replaces base's whole, so nothing leaks in.

    ``conf/local``, read where no experiment is named, changes what it names, also deep inside a variant, and no more.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(conf_source, env, *args, **kwargs)
        if env in (None, self.default_run_env):
            self.merge_strategy = {**self.merge_strategy, "parameters": "soft"}

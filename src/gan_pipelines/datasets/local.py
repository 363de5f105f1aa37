"""Refusal of paths that are not on this machine."""

from __future__ import annotations

from typing import Any, Self

from gan_pipelines.core.config import require_local


class LocalDataset:
    """Mixin of all datasets of the project: their ``filepath`` is a file or a folder of this machine.

    Raises:
        ConfigError: if it begins with a protocol, such as ``s3://``, of which a folder would be made.
    """

    def __new__(cls, *_: Any, **arguments: Any) -> Self:
        """Check the path; Kedro's own datasets take their arguments in ``__init__``, and are copied without any."""
        if "filepath" in arguments:
            require_local("filepath", arguments["filepath"])
        return super().__new__(cls)

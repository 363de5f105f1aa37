"""The files of all runs of an experiment in the catalog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from gan_pipelines.core.config import require_local


@dataclass(frozen=True)
class CataloguedRun:
    """The catalog entries that one run saved for one variant.

    Attributes:
        variant: name of the variant.
        version: version of the entries.
        loaders: functions that load an entry, by its name.
    """

    variant: str
    version: str
    loaders: Mapping[str, Callable[[], Any]]

    def __contains__(self, entry: object) -> bool:
        """Whether the run saved an entry."""
        return entry in self.loaders

    def load(self, entry: str) -> Any:
        """Load an entry."""
        return self.loaders[entry]()


class RunsDataset(AbstractDataset[None, list[CataloguedRun]]):
    """A read-only list of runs, ordered by variant and version, from versioned entries with the variant in their path.

    Example in the catalog::

        all_runs:
          type: gan_pipelines.datasets.RunsDataset
          entries:
            scores: {type: json.JSONDataset, filepath: "data/08_reporting/{variant}/scores.json"}
    """

    def __init__(self, *, entries: dict[str, dict[str, Any]], metadata: dict[str, Any] | None = None) -> None:
        for name, config in entries.items():
            require_local(f"entries.{name}.filepath", config["filepath"])
        self._entries = entries
        self.metadata = metadata

    def load(self) -> list[CataloguedRun]:
        """Find all runs; an empty list if there are none."""
        loaders: dict[tuple[str, str], dict[str, Callable[[], Any]]] = defaultdict(dict)
        for name, config in self._entries.items():
            for variant, version in self._find(config["filepath"]):
                filled = {**config, "filepath": config["filepath"].format(variant=variant), "versioned": True}
                loaders[variant, version][name] = AbstractDataset.from_config(name, filled, load_version=version).load
        return [CataloguedRun(variant, version, found) for (variant, version), found in sorted(loaders.items())]

    def save(self, data: None) -> None:
        """Raise an error: the entries of runs are saved by pipelines."""
        raise NotImplementedError("Runs are read only: pipelines save their entries.")

    @staticmethod
    def _find(pattern: str) -> list[tuple[str, str]]:
        """Find the variants and versions of an entry."""
        root, _, within = pattern.partition("{variant}/")
        found = Path(root).glob(f"*/{within}/*/{Path(pattern).name}")
        return [(path.relative_to(root).parts[0], path.parent.name) for path in found]

    def _exists(self) -> bool:
        return bool(self.load())

    def _describe(self) -> dict[str, Any]:
        return {"entries": {name: config["filepath"] for name, config in self._entries.items()}}

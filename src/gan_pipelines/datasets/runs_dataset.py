"""What all runs of an experiment have left in the catalog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset


@dataclass(frozen=True)
class CataloguedRun:
    """What one run has left of one variant.

    Attributes:
        variant: its name.
        version: under which the catalog has what the run left.
        loaders: of what it left, by name; nothing is read before it is asked for.
    """

    variant: str
    version: str
    loaders: Mapping[str, Callable[[], Any]]

    def __contains__(self, entry: object) -> bool:
        """Whether the run has left such an entry."""
        return entry in self.loaders

    def load(self, entry: str) -> Any:
        """Read an entry from disk."""
        return self.loaders[entry]()


class RunsDataset(AbstractDataset[None, list[CataloguedRun]]):
    """A read-only list of runs, by variant and age, of versioned entries whose paths name the variant.

    Example in the catalog::

        all_runs:
          type: gan_pipelines.datasets.RunsDataset
          entries:
            scores: {type: json.JSONDataset, filepath: "data/08_reporting/{variant}/scores.json"}
    """

    def __init__(self, *, entries: dict[str, dict[str, Any]], metadata: dict[str, Any] | None = None) -> None:
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
        """Refuse: runs are left by pipelines."""
        raise NotImplementedError("What runs leave is written by their own entries.")

    @staticmethod
    def _find(pattern: str) -> list[tuple[str, str]]:
        """Variants and versions of the files that there are."""
        root, _, within = pattern.partition("{variant}/")
        found = Path(root).glob(f"*/{within}/*/{Path(pattern).name}")
        return [(path.relative_to(root).parts[0], path.parent.name) for path in found]

    def _exists(self) -> bool:
        return bool(self.load())

    def _describe(self) -> dict[str, Any]:
        return {"entries": {name: config["filepath"] for name, config in self._entries.items()}}

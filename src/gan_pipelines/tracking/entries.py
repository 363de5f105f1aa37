"""What of the catalog's entries goes to MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from kedro.io import AbstractVersionedDataset, DataCatalog

from gan_pipelines.core.config import Switch, config, parse, require

METADATA_KEY = "mlflow"
PARAMETERS = "params:"
"""Prefix of the entries that hold parameters."""
RUNTIME = f"{PARAMETERS}runtime"
"""Entry with the settings of the machine; every run has it."""


@config
class EntryLogging:
    """What of a catalog entry goes to MLflow, as ``metadata: {mlflow: ...}`` of the entry says; nothing by default.

    Attributes:
        file: log the saved file or folder of a versioned entry as an artifact.
        params: log the saved configuration as parameters.
        findings: log metrics, tags and sentences of the saved `Findings`.
        tags: tags of the run, each with the key of the saved mapping that holds its value.
        dataset: log the splits of the saved manifest, which is a versioned entry, as inputs of the run.
        model: log the saved `ExportedGenerator`, which is a versioned entry, as a model; ``params:export`` says whether
            to register it.
    """

    file: Switch = False
    params: Switch = False
    findings: Switch = False
    tags: Mapping[str, str] | None = None
    dataset: Switch = False
    model: Switch = False


def read_logging(catalog: DataCatalog, names: Iterable[str]) -> dict[str, EntryLogging]:
    """Read the metadata of some catalog entries.

    Raises:
        ConfigError: if the metadata of an entry has an unknown or a wrong setting for MLflow.
    """
    found = {}
    for name in names:
        metadata = getattr(catalog.get(name), "metadata", None) or {}
        if METADATA_KEY in metadata:
            path = f"{name}.metadata.{METADATA_KEY}"
            found[name] = parse(EntryLogging, metadata[METADATA_KEY], path)
            for setting in ("file", "dataset", "model"):
                is_asked = getattr(found[name], setting)
                is_possible = not is_asked or is_versioned(catalog[name])
                require(is_possible, f"{path}.{setting}", True, "false: the entry is not versioned")
    return found


def is_versioned(dataset: object) -> TypeGuard[AbstractVersionedDataset[Any, Any]]:
    """Whether each run saves an entry under a version of its own."""
    return isinstance(dataset, AbstractVersionedDataset) and dataset.resolve_save_version() is not None


def find_saved_path(catalog: DataCatalog, name: str, version: str) -> Path | None:
    """Find the file or folder that a run has saved.

    Args:
        catalog: catalog of the run.
        name: name of the entry.
        version: version that the run saves under.

    Returns:
        the path, or None if the entry is not versioned.
    """
    dataset = catalog[name]
    if not is_versioned(dataset):
        return None
    paths = map(Path, dataset.list_versions())
    return next((path for path in paths if path.parent.name == version), None)

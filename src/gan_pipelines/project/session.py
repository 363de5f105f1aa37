"""Kedro's session of the project: which nodes a run has, and with what, is settled before anything else begins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context.context import _convert_paths_to_absolute_posix
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner, ParallelRunner, ThreadRunner
from kedro.utils import load_obj

from gan_pipelines.core.config import ConfigError, suggest
from gan_pipelines.tracking.entries import PARAMETERS, is_versioned

logger = logging.getLogger(__name__)

FILTERS: Mapping[str, tuple[str, str, Callable[[Pipeline], Iterable[str]]]] = {
    "node_names": ("--nodes", "node", lambda pipeline: (node.name for node in pipeline.nodes)),
    "from_nodes": ("--from-nodes", "node", lambda pipeline: (node.name for node in pipeline.nodes)),
    "to_nodes": ("--to-nodes", "node", lambda pipeline: (node.name for node in pipeline.nodes)),
    "from_inputs": ("--from-inputs", "entry", lambda pipeline: pipeline.datasets()),
    "to_outputs": ("--to-outputs", "entry", lambda pipeline: pipeline.all_outputs()),
    "tags": ("--tags", "tag", lambda pipeline: (tag for node in pipeline.nodes for tag in node.tags)),
    "namespaces": (
        "--namespaces",
        "namespace",
        lambda pipeline: (prefix for node in pipeline.nodes if node.namespace for prefix in node.namespace_prefixes),
    ),
}
"""By argument of `KedroSession.run`: its option, what it names, and those that a pipeline has."""

COMPARE = "compare"
"""The pipeline that reads what all runs have saved."""
RUNNER = "SequentialRunner"
"""Kedro's runner that can run the pipelines."""
PATTERN_CHARACTERS = "*?[{}"
"""Characters with a meaning in Kedro's patterns for files of settings, versions and entries of the catalog."""


class ProjectSession(KedroSession):
    """A session that checks what is asked for, and makes in-memory entries again that a slice of a pipeline lacks."""

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run as `KedroSession.run` does, with the same arguments.

        Raises:
            ConfigError: if pipelines do not fit together, a node, tag, namespace or entry is unknown, no node is left,
                or an option cannot work.
        """
        asked = signature(KedroSession.run).bind(self, *args, **kwargs).arguments
        del asked["self"]
        check_options(asked)
        names = asked.get("pipeline_names") or [asked.get("pipeline_name") or "__default__"]
        pipelines.set_requested(asked.get("pipeline_names") or None)
        whole = join({name: pipelines[name] for name in names})
        filters = {name: asked.pop(name, None) for name in FILTERS}
        filters = {name: chosen for name, chosen in filters.items() if chosen}
        versions = asked.get("load_versions") or {}
        part, catalog = whole, self.open_catalog()
        if filters:
            part = select_nodes(whole, filters, "+".join(names))
            part = complete_slice(part, whole, catalog, versions)
            asked["node_names"] = [node.name for node in part.nodes]
        asked["load_versions"] = settle_versions(versions, part, catalog)
        return super().run(**asked)

    def read_parameters(self) -> dict[str, Any]:
        """Read the parameters of the environment, with those that the session was given, as YAML gives them."""
        return dict(self._get_config_loader()["parameters"])

    def open_catalog(self, load_versions: dict[str, str] | None = None) -> DataCatalog:
        """Open the catalog without the parameters, and without MLflow. A run opens its own when its nodes are chosen.

        Args:
            load_versions: versions in which to load entries; others are loaded in the newest.

        Raises:
            ConfigError: if Kedro would read another path than that of the project.
        """
        loader = self._get_config_loader()
        check_paths(self._project_path, loader.conf_source)
        entries = _convert_paths_to_absolute_posix(project_path=self._project_path, conf_dictionary=loader["catalog"])
        credentials = None
        with suppress(MissingConfigException):
            credentials = loader["credentials"]
        return DataCatalog.from_config(entries, credentials, load_versions)


def check_paths(project: Path, conf_source: str | Path) -> None:
    """Raise a `ConfigError` if project or settings have a character in their path that Kedro takes for a pattern.

    It can match other folders.
    """
    for folder in (project, Path(conf_source).absolute()):
        found = next((character for character in PATTERN_CHARACTERS if character in str(folder)), None)
        if found:
            raise ConfigError(
                f"{folder} has {found} in its path, which Kedro takes for a pattern; rename or move that folder."
            )


def join(parts: Mapping[str, Pipeline]) -> Pipeline:
    """Join pipelines, given by their names.

    Raises:
        ConfigError: if a node of one differs in another, or one reads what the others save without their entries.
    """
    if COMPARE in parts and len(parts) > 1:
        raise ConfigError(f"{COMPARE} reads what earlier runs have saved; run it alone, after the others.")
    try:
        return sum(parts.values(), Pipeline([]))
    except ValueError as error:
        raise ConfigError(
            f"{' and '.join(parts)} make the same entry in different ways; run one after the other."
        ) from error


def select_nodes(whole: Pipeline, filters: Mapping[str, Sequence[str]], name: str) -> Pipeline:
    """Select the nodes that meet all filters.

    Args:
        whole: the pipeline.
        filters: by argument of `KedroSession.run`, what it was given.
        name: of the pipeline, for sentences.

    Raises:
        ConfigError: if something that a filter names is not in the pipeline, or no node meets all filters.
    """
    for argument, chosen in filters.items():
        _, kind, list_known = FILTERS[argument]
        known = sorted(set(list_known(whole)))
        for each in chosen:
            if each not in known:
                rest = suggest(each, known) if known else "it has none."
                raise ConfigError(f"There is no {kind} {each!r} in {name}; {rest}")
    arguments = {argument.replace("namespaces", "node_namespaces"): chosen for argument, chosen in filters.items()}
    try:
        return whole.filter(**arguments)
    except ValueError as error:
        options = " and ".join(FILTERS[argument][0] for argument in filters)
        raise ConfigError(f"No node of {name} is in all of {options}; leave one out.") from error


def complete_slice(part: Pipeline, whole: Pipeline, catalog: DataCatalog, versions: Iterable[str] = ()) -> Pipeline:
    """Add the nodes that make what a slice reads and what is not saved.

    Entries that are made of parameters alone are made again as well, saved or not: those of an earlier run may have
    other settings.

    Args:
        part: some nodes of a pipeline.
        whole: the pipeline.
        catalog: tells which entries are not saved.
        versions: entries that are to be loaded in a certain version, which are not made again.

    Returns:
        the slice with these nodes.
    """

    def must_run(node: Node, needed: set[str]) -> bool:
        is_made_of_parameters = all(name.startswith(PARAMETERS) for name in node.inputs)
        outputs = needed.intersection(node.outputs).difference(versions)
        return any(is_made_of_parameters or _lives_in_memory(name, catalog) for name in outputs)

    complete = part
    while more := [node for node in (whole - complete).nodes if must_run(node, complete.inputs())]:
        complete += Pipeline(more)
    if added := (complete - part).nodes:
        logger.info("Nodes that run as well, for what this slice needs: %s", ", ".join(node.name for node in added))
    return complete


def check_runner_name(name: str) -> None:
    """Raise a `ConfigError` unless there is such a runner, in Kedro or at a path such as ``package.Runner``."""
    try:
        kind = load_obj(name, "kedro.runner")
    except (AttributeError, ImportError):
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, AbstractRunner)):
        raise ConfigError(f"There is no runner {name!r}; {suggest(name, [RUNNER])}")


def check_options(asked: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` for an option of Kedro with which a run cannot work, or would have wrong results.

    Args:
        asked: arguments of `KedroSession.run`.
    """
    runner = asked.get("runner")
    if isinstance(runner, (ParallelRunner, ThreadRunner)):
        raise ConfigError(
            f"{type(runner).__name__} cannot run these pipelines, whose nodes share images, networks and random "
            f"numbers in memory; use {RUNNER}."
        )
    if asked.get("only_missing_outputs"):
        raise ConfigError(
            "--only-missing-outputs would mix entries of an earlier run with those of this one; leave it out: finished "
            "trainings, prepared images and features are not made again."
        )


def settle_versions(stated: Mapping[str, str], pipeline: Pipeline, catalog: DataCatalog) -> dict[str, str]:
    """Settle in which versions a run loads its entries: MLflow records them, and a run beside this one changes nothing.

    An entry is loaded in the version that is stated of it, or in that stated of the generator of its variant, which is
    of the same run, or in the newest. What does not exist is left out.

    Args:
        stated: versions by entry.
        pipeline: what is run.
        catalog: with all versions.

    Raises:
        ConfigError: if a version is stated of what the run does not load, or is not versioned: Kedro would ignore it.
    """
    loaded = {name: dataset for name in sorted(pipeline.inputs()) if is_versioned(dataset := catalog.get(name))}
    for name in stated:
        if name not in loaded:
            rest = suggest(name, list(loaded)) if loaded else "it loads none."
            raise ConfigError(f"--load-versions has {name}, which is no versioned entry that this run loads; {rest}")
    settled = dict(stated)
    for name in loaded.keys() - stated.keys():
        wanted = stated.get(f"{name.rpartition('.')[0]}.generator")
        if versions := loaded[name].list_versions(full_path=False):  # the newest first
            settled[name] = wanted if wanted in versions else versions[0]
    return settled


def _lives_in_memory(name: str, catalog: DataCatalog) -> bool:
    return isinstance(catalog.get(name, fallback_to_runtime_pattern=True), MemoryDataset)

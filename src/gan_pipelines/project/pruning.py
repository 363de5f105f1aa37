"""Find what can be deleted of an experiment, and delete it.

A run saves all its entries under one version, which its MLflow run has as a tag: they stay or go together. What stays
in any case: the newest version of each entry; the newest run of each recipe and the one with the lowest FID, with the
generators that they have scored and the checkpoints and milestones of their trainings; versions whose scores cannot be
read; and what a run at work may be using.
"""

from __future__ import annotations

import json
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kedro.framework.project import pipelines
from kedro.io import AbstractVersionedDataset, DataCatalog
from kedro.io.core import VersionNotFoundError

from gan_pipelines.core.files import DELETED, UNFINISHED, acquire, count_bytes, delete
from gan_pipelines.core.score_names import MILESTONE
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.core.versions import parse_version
from gan_pipelines.datasets import CheckpointStoreDataset, KeyedStoreDataset, MilestoneStoreDataset
from gan_pipelines.gan.checkpoint import CheckpointStore, TrainingLocked
from gan_pipelines.gan.milestones import MilestoneStore
from gan_pipelines.metrics.averages import hash_key
from gan_pipelines.project.reproduction import find_reproductions
from gan_pipelines.tracking.address import find_database
from gan_pipelines.tracking.entries import is_versioned
from gan_pipelines.tracking.hooks import MLRUNS
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.runs import busy_since, find_artifacts, find_training, is_deleted, list_runs
from gan_pipelines.tracking.tags import PARENT, VERSION, is_part

if TYPE_CHECKING:
    from mlflow.entities import Run

SECONDS_PER_DAY = 86400
SCORES = ".scores"
"""End of the names of entries with scores, after the variant."""
VERSIONS, CHECKPOINTS, MILESTONES = "versions", "checkpoints", "milestones"
STORES, LEFTOVERS, RUNS = "stores", "unfinished files", "MLflow runs"
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Item:
    """Something that is deleted as a whole.

    Attributes:
        kind: what it is, for the table.
        name: which one, for the table.
        size: its bytes.
        discard: deletes it, unless it has come into use; returns whether it did.
    """

    kind: str
    name: str
    size: int
    discard: Callable[[], bool]


@dataclass(frozen=True)
class Contents:
    """What the catalog has of an experiment.

    Attributes:
        versions: by version the saved files and folders, by name of the entry.
        checkpoints: stores of checkpoints by name of the entry.
        milestones: stores of milestones by name of the entry.
        stores: other stores by name of the entry.
        folders: folders in which unfinished files may be left, with the name of the entry.
    """

    versions: dict[str, dict[str, Path]] = field(default_factory=lambda: defaultdict(dict))
    checkpoints: dict[str, CheckpointStore] = field(default_factory=dict)
    milestones: dict[str, MilestoneStore] = field(default_factory=dict)
    stores: dict[str, KeyedStore] = field(default_factory=dict)
    folders: dict[Path, str] = field(default_factory=dict)


def prune(context: Any, older_than: float | None, is_dry: bool) -> None:
    """Print what can be deleted and, unless this is a dry run, delete it and print how much that has freed.

    Of two processes, the second waits for the first.

    Args:
        context: Kedro's, of the environment whose experiment it is, with kedro-mlflow's settings.
        older_than: see `find_prunable`.
        is_dry: whether to delete nothing.

    Raises:
        TrackingUnavailable: if MLflow does not answer.
    """
    from mlflow import MlflowClient  # noqa: PLC0415 (takes seconds to load)

    client, folder = MlflowClient(), context.project_path / MLRUNS
    with require_mlflow(client.tracking_uri), acquire(folder / ".prune.lock", "pruning"):
        items = find_prunable(context, client, folder, older_than)
        if not items:
            print("Nothing can be deleted.")
            return
        print(describe(items))
        if is_dry:
            print("This was a dry run; --delete deletes all that.")
            return
        _delete(items, client.tracking_uri)


def _delete(items: Sequence[Item], address: str) -> None:
    deleted = []
    try:
        for item in items:
            if item.discard():
                deleted.append(item)
    finally:
        print(f"Freed {format_bytes(sum(item.size for item in deleted if item.kind != RUNS))}.")
        if runs := [item for item in deleted if item.kind == RUNS]:
            where = f"--backend-store-uri {shlex.quote(address)}" if find_database(address) else "on its server"
            size = format_bytes(sum(item.size for item in runs))
            print(f"MLflow has {len(runs)} more deleted runs. Their files ({size}) go with: mlflow gc {where}")


def find_prunable(context: Any, client: Any, folder: Path, older_than: float | None = None) -> list[Item]:
    """Find what can be deleted.

    It is what nothing refers to: files of runs that were deleted in MLflow, nested runs of those, checkpoints and
    milestones of trainings all of whose runs were, and what killed processes have left unfinished. With ``older_than``,
    it is also what has not been used for so long.

    Args:
        context: Kedro's, of the environment whose experiment it is, with kedro-mlflow's settings.
        client: of MLflow.
        folder: folder of the project for MLflow.
        older_than: days since a run has begun, a checkpoint or milestone was written, or an entry of a store was used.
    """
    contents = read_contents(context.catalog, {name for each in pipelines.values() for name in each.datasets()})
    experiment = client.get_experiment_by_name(context.mlflow.tracking.experiment.name)
    runs = list_runs(client, experiment.experiment_id)
    since = busy_since(client, runs, folder)
    before = 0.0 if older_than is None else time.time() - older_than * SECONDS_PER_DAY
    if since is not None:
        print("A run is at work, so only entries of stores that were last used before it began can be deleted.")
        return [*_find_entries(contents.stores, min(before, since))]
    scores = read_scores(contents.versions)
    kept = find_kept(contents.versions, scores)
    trainings = {score.training for version in kept for score in scores.get(version, ()) if score.training}
    return [
        *_find_trainings(CHECKPOINTS, contents.checkpoints, runs, trainings, before),
        *_find_trainings(MILESTONES, contents.milestones, runs, trainings, before),
        *_find_entries(contents.stores, before),
        # Runs before their versions, by which they are found: what is interrupted can be done again.
        *_find_runs(client, runs, {*contents.versions} - kept, before),
        *_find_versions(contents.versions, runs, kept, before),
        *_find_leftovers(contents.folders),
    ]


def describe(items: Sequence[Item]) -> str:
    """A table of what would be deleted: how many of each, and their size."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for item in items:
        groups[item.kind, item.name].append(item.size)
    rows = [("kind", "of", "number", "size")]
    rows += [(kind, name, str(len(sizes)), format_bytes(sum(sizes))) for (kind, name), sizes in groups.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{kind:<{widths[0]}}  {name:<{widths[1]}}  {count:>{widths[2]}}  {size:>{widths[3]}}"
        for kind, name, count, size in rows
    )


def format_bytes(count: float) -> str:
    """``1.5 MiB``."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.{min(unit, 1)}f} {UNITS[unit]}"


def read_contents(catalog: DataCatalog, names: Iterable[str]) -> Contents:
    """Find versions and stores of the catalog's entries."""
    contents = Contents()
    for name in sorted(names):
        dataset = catalog.get(name)
        if is_versioned(dataset):
            for path in _list_versions(dataset):
                contents.versions[path.parent.name][name] = path
            contents.folders.update(dict.fromkeys(Path(dataset._filepath).glob("*"), name))
        elif isinstance(dataset, CheckpointStoreDataset):
            root = dataset.load().root
            for folder in (root, *find_reproductions(root)):
                contents.checkpoints[f"{name} {folder.relative_to(root.parent)}"] = CheckpointStore(folder)
                contents.folders.update(dict.fromkeys(folder.glob("*"), name))
        elif isinstance(dataset, MilestoneStoreDataset):
            contents.milestones[name] = store = dataset.load()
            contents.folders.update(dict.fromkeys([store.root, *store.root.glob("*/*")], name))
        elif isinstance(dataset, KeyedStoreDataset):
            contents.stores[name] = dataset.load()
            contents.folders[contents.stores[name].root] = name
    return contents


def _list_versions(dataset: AbstractVersionedDataset[Any, Any]) -> list[Path]:
    with suppress(VersionNotFoundError):
        paths = map(Path, dataset.list_versions())
        return [path for path in paths if not (path.is_symlink() or path.parent.is_symlink())]  # kept elsewhere
    return []


class Scored(NamedTuple):
    """What a run has scored.

    Attributes:
        recipe: the variant, and the fingerprint of its settings without the seed.
        training: fingerprint of the training; None for pictures made elsewhere.
        generator_version: version of the generator; None for pictures made elsewhere.
        comparability: hash of the comparability key.
        fid: the FID; None for another score.
        is_milestone: whether it is of a milestone, which stands for no run of the recipe.
    """

    recipe: tuple[str, str]
    training: str | None
    generator_version: str | None
    comparability: str
    fid: float | None
    is_milestone: bool = False


def read_scores(versions: Mapping[str, Mapping[str, Path]]) -> dict[str, list[Scored]]:
    """Read the scores of each version that has some; those of a file that is torn are missing."""
    found: dict[str, list[Scored]] = defaultdict(list)
    for version, entries in versions.items():
        for name, path in entries.items():
            if name.endswith(SCORES):
                found[version] += []
                with suppress(OSError, ValueError, TypeError, LookupError):
                    found[version] += [_read_score(name, record) for record in json.loads(path.read_text())]
    return dict(found)


def _read_score(name: str, record: Mapping[str, Any]) -> Scored:
    identity = record["identity"]
    return Scored(
        (name.removesuffix(SCORES), identity["recipe"]),
        identity.get("fingerprint"),
        identity.get("generator_version"),
        hash_key(record),
        record["value"] if record["metric"] == "fid" else None,
        identity["generator"] == MILESTONE,
    )


def find_kept(versions: Mapping[str, Iterable[str]], scores: Mapping[str, Sequence[Scored]]) -> set[str]:
    """Find the versions that stay: the newest of each entry, the newest and best of each recipe, and what they scored.

    Versions whose scores cannot be read stay as well: they may be the best.

    The best has the lowest FID, for each comparability key. Scores of milestones do not count.

    Args:
        versions: by version the names of its entries.
        scores: by version what it has scored.
    """
    newest: dict[object, str] = {}
    best: dict[tuple[object, str], tuple[float, str]] = {}
    for version in sorted(versions):
        newest |= dict.fromkeys(versions[version], version)
        for score in scores.get(version, ()):
            if score.is_milestone:
                continue
            newest[score.recipe] = version
            if score.fid is not None:
                key = (score.recipe, score.comparability)
                best[key] = min(best.get(key, (score.fid, version)), (score.fid, version))
    unread = {version for version in versions if version in scores and not scores[version]}
    kept = {*newest.values(), *(version for _, version in best.values()), *unread}
    scored = {score.generator_version for version in kept for score in scores.get(version, ())}
    return kept | {version for version in scored if version is not None}


def _find_versions(
    versions: Mapping[str, Mapping[str, Path]], runs: Iterable[Run], kept: set[str], before: float
) -> Iterator[Item]:
    """Versions that are old, or whose MLflow run was deleted."""
    of_version = {
        run.data.tags[VERSION]: run for run in runs if VERSION in run.data.tags and not is_part(run.data.tags)
    }
    for version, entries in sorted(versions.items()):
        run = of_version.get(version)
        is_unreferenced = run is not None and is_deleted(run)
        if version not in kept and (is_unreferenced or _start_of(version) < before):
            name = version if run is None else f"{version}: {run.info.run_name}"
            for path in entries.values():
                yield Item(VERSIONS, name, count_bytes(path), _deleting(path))


def _deleting(path: Path) -> Callable[[], bool]:
    def discard() -> bool:
        try:
            delete(path)
        except FileNotFoundError:
            return False
        with suppress(OSError):  # it is not empty
            path.parent.rmdir()
        return True

    return discard


def _start_of(version: str) -> float:
    """Time of a version in seconds since the epoch; a version of another form is taken for new."""
    time = parse_version(version)
    return float("inf") if time is None else time.timestamp()


def _find_trainings(
    kind: str,
    stores: Mapping[str, CheckpointStore] | Mapping[str, MilestoneStore],
    runs: Iterable[Run],
    kept: set[str],
    before: float,
) -> Iterator[Item]:
    """Checkpoints or milestones that are old, or of trainings all of whose MLflow runs were deleted."""
    states: dict[str | None, list[bool]] = defaultdict(list)
    for run in runs:
        states[find_training(run)].append(is_deleted(run))
    for name, store in stores.items():
        for fingerprint, used in store.list_trainings().items():
            is_unreferenced = all(states.get(fingerprint, [False]))
            if fingerprint not in kept and (is_unreferenced or used < before):
                size = count_bytes(store.root / fingerprint)
                yield Item(kind, name, size, _discarding(store, fingerprint, used))


def _discarding(store: CheckpointStore | MilestoneStore, fingerprint: str, used: float) -> Callable[[], bool]:
    def discard() -> bool:
        if store.list_trainings().get(fingerprint) != used:  # it was continued
            return False
        try:
            store.discard(fingerprint)
        except TrainingLocked:
            return False
        return True

    return discard


def _find_entries(stores: Mapping[str, KeyedStore], before: float) -> Iterator[Item]:
    """Entries of stores that have not been used for long; they are made again when needed."""
    for name, store in stores.items():
        for key in store.list_keys():
            if store.last_used(key) < before:
                yield Item(STORES, name, count_bytes(store.root / key), partial(store.discard, key, before))


def _find_leftovers(folders: Mapping[Path, str]) -> Iterator[Item]:
    """What killed processes have half deleted or half written; a process without a run may write for a day."""
    written_before = time.time() - SECONDS_PER_DAY
    for folder, name in folders.items():
        unfinished = (path for path in folder.glob(f"{UNFINISHED}*") if path.lstat().st_mtime < written_before)
        for path in sorted([*folder.glob(f"{DELETED}*"), *unfinished]):
            yield Item(LEFTOVERS, name, count_bytes(path), _deleting(path))


def _find_runs(client: Any, runs: Sequence[Run], versions: set[str], before: float) -> Iterator[Item]:
    """MLflow runs of these versions that are old, with the runs nested in them, and nested runs of deleted ones.

    The store may have runs of other projects and machines, of which this one knows nothing.
    """
    by_id = {run.info.run_id: run for run in runs}
    for run in runs:
        whole = by_id.get(run.data.tags[PARENT], run) if is_part(run.data.tags) else run
        version = whole.data.tags.get(VERSION)
        if version not in versions or is_deleted(run):
            continue
        is_old = _start_of(version) < before and whole.info.status != "RUNNING"  # as its version: they go together
        if is_old or is_deleted(whole):
            folder = find_artifacts(run)
            size = 0 if folder is None else count_bytes(folder)
            yield Item(RUNS, whole.info.run_name, size, _hiding(client, run))


def _hiding(client: Any, run: Run) -> Callable[[], bool]:
    def discard() -> bool:
        from gan_pipelines.tracking.models import delete_models  # noqa: PLC0415 (loads MLflow)

        client.delete_run(run.info.run_id)
        delete_models(client, run)
        return True

    return discard

"""Many runs: every combination of pipelines, seeds and settings is a Kedro run of its own."""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm
from yaml import YAMLError

from gan_pipelines import execution
from gan_pipelines.core.config import ConfigError, flatten, merge, parse, suggest
from gan_pipelines.core.errors import first_line
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.gan import VARIANTS, fingerprint
from gan_pipelines.project.config_loader import lay_over
from gan_pipelines.project.hooks import explain
from gan_pipelines.project.parameters import RuntimeConfig, parse_parameters
from gan_pipelines.project.session import ProjectSession
from gan_pipelines.tracking.hooks import MLRUNS, RUN_VARIABLE
from gan_pipelines.tracking.sweeps import SweepRun, tagging

TRAIN = "train"
KINDS = (TRAIN, "augment")
"""Pipelines that can be swept, before ``_<variant>``."""
WITHOUT_RESULT = ("export", "runtime")
"""Sections that change no result: the same run with others is finished."""
ONE_AFTER_ANOTHER = {"engine": "process"}
"""Settings of each run, whose own tasks would compete with the other runs."""
LOGS = "logs"
"""Folder under ``mlruns`` for what runs print."""


@dataclass(frozen=True)
class Combination:
    """One run of a sweep.

    Attributes:
        pipeline: ``train_<variant>`` or ``augment_<variant>``.
        seed: of the training; None for an augmentation experiment, which has seeds of its own.
        settings: others that differ between runs, by their names in parameters.yml.
    """

    pipeline: str
    seed: int | None
    settings: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """``train`` or ``augment``."""
        return self.pipeline.partition("_")[0]

    @property
    def variant(self) -> str:
        """The variant that is trained."""
        return self.pipeline.partition("_")[2]

    @property
    def name(self) -> str:
        """What the run is called: its pipeline, seed and settings."""
        seed = [] if self.seed is None else [f"seed {self.seed}"]
        return " ".join([self.pipeline, *seed, *(f"{key}={value}" for key, value in self.settings.items())])

    @property
    def parameters(self) -> dict[str, Any]:
        """Its settings as in parameters.yml."""
        seed = {} if self.seed is None else {"seed": self.seed}
        nested: dict[str, Any] = {"variants": {self.variant: seed}, "runtime": dict(ONE_AFTER_ANOTHER)}
        for name, value in self.settings.items():
            for section in reversed(name.split(".")):
                value = {section: value}  # noqa: PLW2901
            nested = merge(nested, value)
        return nested


class RunIdentity(NamedTuple):
    """What tells a run from others.

    Attributes:
        key: hash of all its settings that change a result.
        trainings: identities of what it trains; two runs that share one share checkpoints.
        epochs: of the trainings.
    """

    key: str
    trainings: frozenset[str]
    epochs: int


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        state: ``finished``, ``failed``, or ``was finished`` by an earlier sweep.
        seconds: how long it took.
        reason: why it failed; empty if it did not.
    """

    state: Literal["finished", "failed", "was finished"]
    seconds: float = 0.0
    reason: str = ""


def parse_seeds(text: str) -> list[int]:
    """``0-4`` and ``0,2,7-9`` as numbers. Raises a `ConfigError` for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise ConfigError(f"--seeds is {text}, but must be numbers and ranges, such as 0-4 or 0,2,7.")
        seeds += range(int(found[1]), int(found[2] or found[1]) + 1)
    return list(dict.fromkeys(seeds))


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """``variants.dcgan.batch_size=64;128`` as values by setting. Raises a `ConfigError` if one cannot be read."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = map(str.strip, text.partition("="))
        if not name or not values:
            raise ConfigError(
                f'--grid is {text}, but must be a setting and its values: "variants.dcgan.batch_size=64;128".'
            )
        if name.startswith("runtime."):
            raise ConfigError(f"--grid has {name}, but settings of the machine change no result.")
        if re.fullmatch(r"variants\.\w+\.seed", name):
            raise ConfigError(f"--grid has {name}, but --seeds has the seeds of trainings.")
        try:
            grid.setdefault(name, []).extend(map(_read_value, values.split(";")))
        except (YAMLError, OmegaConfBaseException) as error:
            problem = getattr(error, "problem", None) or first_line(error)
            raise ConfigError(f"--grid {text} cannot be read ({problem}); quote the value.") from error
    return grid


def _read_value(text: str) -> Any:
    """Read a value as ``--params`` does: unlike YAML 1.1, OmegaConf takes ``1e-3`` for a number."""
    return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[index, call-overload]


def combine(names: Sequence[str], seeds: Sequence[int] | None, grid: Mapping[str, Sequence[Any]]) -> list[Combination]:
    """List all combinations, each once.

    What does not concern a run does not multiply it: settings of other variants and, if it is an augmentation
    experiment, the seeds of trainings.

    Args:
        names: names of the pipelines.
        seeds: of the trainings; None for 0 alone.
        grid: values by setting.

    Raises:
        ConfigError: if a pipeline is none that trains a variant, or the seeds or a setting concern none of them.
    """
    combinations: dict[str, Combination] = {}
    for name in names:
        kind, _, variant = name.partition("_")
        if kind not in KINDS or variant not in VARIANTS:
            known = [f"{kind}_{variant}" for kind in KINDS for variant in VARIANTS]
            raise ConfigError(f"--pipelines has {name!r}, which a sweep cannot run; {suggest(name, known)}")
        own = {key: values for key, values in grid.items() if _concerns(key, variant)}
        own_seeds = [None] if kind != TRAIN else [0] if seeds is None else seeds
        for values, seed in product(product(*own.values()), own_seeds):
            each = Combination(name, seed, dict(zip(own, values, strict=True)))
            combinations[each.name] = each
    if seeds is not None and all(each.seed is None for each in combinations.values()):
        raise ConfigError(
            "--seeds are those of trainings, and concern no run of --pipelines; an augmentation experiment has "
            "augmentation.seed and augmentation.replicates."
        )
    for key in grid:
        if not any(key in each.settings for each in combinations.values()):
            raise ConfigError(
                f"--grid has {key}, which concerns no run of --pipelines; name a section, or a variant that is trained."
            )
    return [*combinations.values()]


def _concerns(setting: str, variant: str) -> bool:
    section, _, rest = setting.partition(".")
    return section != "variants" or rest.partition(".")[0] == variant


def sweep(project_path: Path, env: str | None, combinations: Sequence[Combination], params: Mapping[str, Any]) -> bool:
    """Run all combinations that are not finished yet, print what became of each, and compare.

    Each is a Kedro run with an MLflow run of its own, under one for the sweep. As many run beside each other as the
    engine has processes. A run that fails does not stop the others. The same sweep goes on where it was interrupted.

    Args:
        project_path: folder of the project.
        env: Kedro's environment.
        combinations: the runs.
        params: settings of all runs, as ``--params`` of ``kedro run``.

    Returns:
        whether all runs are finished.

    Raises:
        ConfigError: if a setting cannot work.
        EngineUnavailable: if the engine cannot be used, or is lost.
    """
    env = env or os.environ.get("KEDRO_ENV")
    context = ProjectSession.create(project_path, env=env, runtime_params=dict(params)).load_context()
    runtime = parse(RuntimeConfig, context.params["runtime"], "runtime")
    check_settings(runtime, params)
    for each in combinations:
        if not any(f"{setting}.".startswith(f"variants.{each.variant}.") for setting in each.settings):
            parse_parameters(context.params, [f"params:variants.{each.variant}"])  # a seed alone would state it
    folder = project_path / MLRUNS
    (folder / LOGS).mkdir(parents=True, exist_ok=True)
    execution.check_engine(runtime, folder / LOGS)
    identified = {_identify(project_path, env, each, params): each for each in combinations}
    runs = {identity.key: each for identity, each in identified.items()}
    experiment = context.config_loader["mlflow"]["tracking"]["experiment"]["name"]
    with SweepRun.open(experiment, hash_values([*runs]), folder) as parent:
        outcomes = dict.fromkeys(parent.find_finished() & runs.keys(), Outcome("was finished"))
        print(f"{len(runs)} runs, {len(outcomes)} of them finished before; what they print is in {folder / LOGS}")
        left = {
            key: partial(
                _run, project_path, env, each.pipeline, lay_over(params, each.parameters), parent.tags(key),
                folder / LOGS / f"{each.pipeline}-{key[:12]}.log",
            )
            for key, each in runs.items() if key not in outcomes
        }  # fmt: skip
        turns = take_turns([identity for identity in identified if identity.key in left])
        with closing(_run_turns(turns, left, runtime)) as results:
            for key, outcome in tqdm(results, total=len(left), unit="run", desc="sweep", disable=None):
                outcomes[key] = outcome
                with tqdm.external_write_mode():
                    print(_describe(runs[key], outcome), flush=True)
        are_finished = all(outcome.state != "failed" for outcome in outcomes.values())
        table = "\n".join(_describe(each, outcomes[key]) for key, each in runs.items())
        parent.end(are_finished, table)
    print(f"In the end:\n{table}")
    if any(outcome.state != "failed" for outcome in outcomes.values()):
        ProjectSession.create(project_path, env=env).run(pipeline_names=["compare"])
    return are_finished


def check_settings(runtime: RuntimeConfig, params: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` if there are settings that concern one run, or ``--params`` has seeds of trainings."""
    for name in flatten(dict(params)):
        if re.fullmatch(r"variants\.\w+\.seed", name):
            raise ConfigError(f"--params has {name}; the seeds of a sweep go into --seeds, or augmentation.seed.")
    if runtime.fresh:
        raise ConfigError("runtime.fresh is true, and a sweep does not begin anew; use other settings, or kedro run.")
    if os.environ.get(RUN_VARIABLE):
        raise ConfigError(f"{RUN_VARIABLE} is set, and the runs of a sweep have MLflow runs of their own: unset it.")


def _describe(combination: Combination, outcome: Outcome) -> str:
    took = f" in {outcome.seconds:.0f} s" if outcome.state == "finished" else ""
    return f"{combination.name}: {outcome.state}{took}{f': {outcome.reason}' if outcome.reason else ''}"


def _identify(project_path: Path, env: str | None, combination: Combination, params: Mapping[str, Any]) -> RunIdentity:
    """Read the settings of a run. Raises a `ConfigError` if one is wrong."""
    runtime_params = lay_over(params, combination.parameters)
    session = ProjectSession.create(project_path, env=env, runtime_params=runtime_params)
    assert isinstance(session, ProjectSession)
    stated = session.read_parameters()
    parameters = parse_parameters(stated, pipelines[combination.pipeline].inputs())
    config, data_hash = parameters.variants[combination.variant], hash_values(stated["dataset"])
    trainings, epochs = {fingerprint(config, data_hash, "cpu")}, config.epochs
    if (experiment := parameters.augmentation) is not None:
        epochs = experiment.generator_epochs or epochs
        trainings = {
            f"{fraction} {fingerprint(replace(config, seed=seed, epochs=epochs), data_hash, 'cpu')}"
            for fraction, seed in product(experiment.fractions, experiment.seeds)
        }
    results = {name: value for name, value in stated.items() if name not in WITHOUT_RESULT}
    results = json.loads(json.dumps(results))  # names of classes may be numbers and texts, which have no common order
    return RunIdentity(hash_values([combination.pipeline, env, results]), frozenset(trainings), epochs)


def take_turns(runs: Sequence[RunIdentity]) -> list[list[str]]:
    """List the keys of runs in turns: in a turn, no two share a training, which only one process can have open.

    Of runs that share one, those with fewer epochs come first, since a training cannot go back.
    """
    turns: list[list[RunIdentity]] = []
    for run in sorted(runs, key=lambda run: run.epochs):
        shared = [place for place, turn in enumerate(turns) if any(run.trainings & other.trainings for other in turn)]
        place = max(shared, default=-1) + 1
        if place == len(turns):
            turns.append([])
        turns[place].append(run)
    return [[run.key for run in turn] for turn in turns]


def _run_turns(
    turns: Sequence[Sequence[str]], tasks: Mapping[str, Callable[[], Outcome]], runtime: RuntimeConfig
) -> Generator[tuple[str, Outcome]]:
    """Run the tasks of a turn beside each other, then those of the next; yield each key with its outcome."""
    for keys in turns:
        with closing(execution.run_all([tasks[key] for key in keys], runtime)) as results:
            yield from zip(keys, results, strict=True)


def _run(
    project_path: Path, env: str | None, pipeline: str, params: dict[str, Any], tags: Mapping[str, str], log: Path
) -> Outcome:
    """Run one combination in this process; what it prints goes to a file."""
    start = time.monotonic()
    try:
        with _printing_to(log), tagging(tags), _showing_errors():
            bootstrap_project(project_path)
            ProjectSession.create(project_path, env=env, runtime_params=params).run(pipeline_names=[pipeline])
    except Exception as error:  # the other runs go on
        return Outcome("failed", time.monotonic() - start, explain(error) or f"{first_line(error)} ({log})")
    return Outcome("finished", time.monotonic() - start)


@contextmanager
def _showing_errors() -> Iterator[None]:
    """Print a traceback of an error that is no sentence, since it does not end this process."""
    try:
        yield
    except Exception as error:
        if explain(error) is None:
            traceback.print_exc()
        raise


@contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Send what this process writes to its terminal to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as file:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)

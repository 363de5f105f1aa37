"""Nodes of the comparison of runs."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from kedro.io import DatasetError
from numpy.typing import NDArray

from gan_pipelines import figures, gan, metrics
from gan_pipelines.core.config import ConfigError, flatten
from gan_pipelines.core.errors import first_line
from gan_pipelines.core.findings import Findings
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.score_names import MILESTONE
from gan_pipelines.datasets import CataloguedRun

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Runs = list[CataloguedRun]
Pictures = dict[str, NDArray[np.uint8]]

INTERPOLATION_ROWS, INTERPOLATION_STEPS, INTERPOLATION_SEED = 8, 10, 0
SHOWN_WEIGHTS = "ema"
RECIPE_DIGITS = 6
"""Number of digits shown of a recipe's hash."""


def read_runs(all_runs: Runs) -> Runs:
    """Read the files of all runs; one that is torn or of an earlier format is left out, and a line names it.

    Generators and pictures are large: of each variant, only the newest that can be read is.

    Raises:
        ConfigError: if neither scores nor verdicts are left.
    """
    runs = [_read_entries(run, [name for name in CHECKS if name not in LARGE]) for run in all_runs]
    runs = [_leave_out_pictures(run) if _is_of_milestone(run) else run for run in runs]
    for entry in LARGE:
        runs = _read_newest(runs, entry)
    if not any("scores" in run or "verdicts" in run for run in runs):
        raise ConfigError("There is nothing to compare: no run has scores or verdicts that can be read.")
    return runs


def average_scores(runs_read: Runs) -> pd.DataFrame:
    """Average the scores of each variant over the seeds of its runs."""
    return metrics.average_scores(_scores_by_variant(runs_read))


def tabulate_scores(average_scores: pd.DataFrame) -> pd.DataFrame:
    """Format the averages as a table with a row for each recipe."""
    return metrics.tabulate_scores(average_scores)


def compare_recipes(runs_read: Runs) -> pd.DataFrame:
    """Compare the FID of recipes that have at least three training seeds in common."""
    return metrics.compare_recipes(_scores_by_variant(runs_read), _name_recipes(runs_read))


def state_verdicts(recipe_comparisons: pd.DataFrame) -> Findings:
    """State which recipes are better, by the FID of their averaged weights."""
    shown = recipe_comparisons[recipe_comparisons["weights"] == SHOWN_WEIGHTS]
    return Findings(metrics={}, tags={}, sentences=tuple(shown["sentence"]))


def list_runs(runs_read: Runs) -> pd.DataFrame:
    """List the scored runs with the settings in which the runs of a variant differ, scores and provenance."""
    import pandas as pd  # noqa: PLC0415 (half a second to load: not for listing the pipelines)

    runs = metrics.list_runs({(run.variant, run.version): run.load("scores") for run in _with(runs_read, "scores")})
    first = runs[["run", "variant", "seed", "epochs", "recipe"]]
    settings = _differing_settings(runs_read)
    return pd.concat([first.join(settings, on=["variant", "recipe"]), runs[runs.columns.drop(first.columns)]], axis=1)


def plot_scores_by_epoch(runs_read: Runs) -> figures.Figure:
    """Plot FID and Inception Score by epoch, one line for each training scored like the newest."""
    return figures.plot_scores_by_epoch(_comparable_histories(runs_read, _name_recipes(runs_read)))


def interpolate_latents(runs_read: Runs, device: DeviceName) -> Pictures:
    """Interpolate between latents with the newest generator of each variant."""
    grids = {}
    for run in _newest(runs_read, "generator"):
        generator = run.load("generator")
        samples = gan.interpolate(
            generator,
            INTERPOLATION_ROWS,
            INTERPOLATION_STEPS,
            seed=INTERPOLATION_SEED,
            weights=generator.config.preview_weights,
            device=device,
        )
        grids[_label(run)] = figures.make_image_grid(samples, columns=INTERPOLATION_STEPS)
    return grids


def render_comparison(
    runs_read: Runs,
    average_scores: pd.DataFrame,
    recipe_comparisons: pd.DataFrame,
    runs: pd.DataFrame,
    interpolations: Pictures,
    image_grid: Pictures,
    manifest: dict[str, Any],
    experiment: str,
) -> str:
    """Write the page that compares all runs."""
    (real,) = image_grid.values()
    names = _name_recipes(runs_read)
    return figures.render_comparison(
        figures.Comparison(
            experiment=experiment,
            manifest=manifest,
            names=names,
            measured=_measured(runs_read, average_scores),
            pairs=recipe_comparisons,
            flags=_list_flags(runs_read, names),
            histories=_comparable_histories(runs_read, names),
            losses={_key(run): run.load("history") for run in _newest(runs_read, "history")},
            real=real,
            progress={
                _key(run): {_epoch_of(name): grid for name, grid in run.load("sample_grids").items()}
                for run in _newest(runs_read, "sample_grids")
            },
            interpolations={_parse_label(label): grid for label, grid in interpolations.items()},
            neighbours={
                _key(run): next(iter(run.load("neighbours").values())) for run in _newest(runs_read, "neighbours")
            },
            arms={
                (source, run.version): figures.Arms(
                    run.load("arm_scores"), run.load("comparisons"), run.load("verdicts")
                )
                for source, run in _newest_experiments(runs_read).items()
            },
            runs=runs,
        )
    )


def _check_scores(scores: list[dict[str, Any]]) -> None:
    metrics.list_scores({"": scores})
    metrics.list_runs({("", ""): scores})


def _require_columns(*columns: str) -> Callable[[pd.DataFrame], object]:
    return lambda table: table[[*columns]].iloc[0]


CHECKS: Mapping[str, Callable[[Any], object]] = {
    "scores": _check_scores,
    "config": lambda _: None,
    "history": lambda history: history.astype(float).set_index("epoch").iloc[0],
    "arm_scores": _require_columns("fraction", "arm", "accuracy"),
    "comparisons": _require_columns(
        "fraction", "arm", "baseline", "is_primary", "difference", "interval_low", "interval_high", "verdict"
    ),
    "verdicts": lambda verdicts: [verdict["sentence"] for verdict in verdicts][0],  # noqa: RUF015
    "generator": lambda _: None,
    "sample_grids": lambda grids: min(map(_epoch_of, grids)),
    "neighbours": min,
}
"""By entry of a run, a function that fails if the loaded data cannot be shown: half a table is a table too."""
LARGE = ("generator", "sample_grids", "neighbours")


def _read_entries(run: CataloguedRun, entries: Iterable[str]) -> CataloguedRun:
    """The run with some of its entries loaded; those that cannot be used are gone."""
    loaders = dict(run.loaders)
    for entry in filter(run.__contains__, entries):
        try:
            data = run.load(entry)
            CHECKS[entry](data)
        except (DatasetError, LookupError, TypeError, ValueError, AttributeError) as error:
            reason = first_line(error.__cause__ or error)
            logger.warning("%s of %s cannot be used and is left out: %s", entry, _label(run), reason)
            del loaders[entry]
        else:
            loaders[entry] = _returning(data)
    return replace(run, loaders=loaders)


def _is_of_milestone(run: CataloguedRun) -> bool:
    return "scores" in run and run.load("scores")[0]["identity"]["generator"] == MILESTONE


def _leave_out_pictures(run: CataloguedRun) -> CataloguedRun:
    """The run without the nearest real images, which the page shows of the last generators."""
    return replace(run, loaders={name: load for name, load in run.loaders.items() if name != "neighbours"})


def _read_newest(runs: Runs, entry: str) -> Runs:
    """The runs with one entry loaded for the newest run of each variant that can be read."""
    read = list(runs)
    found = set()
    for place, run in reversed([*enumerate(runs)]):
        if entry in run and run.variant not in found:
            read[place] = _read_entries(run, [entry])
            if entry in read[place]:
                found.add(run.variant)
    return read


def _returning(data: Any) -> Callable[[], Any]:
    return lambda: data


def _epoch_of(name: str) -> float:
    """Epoch of a sample grid, from its name: a whole number, or 0.5 for half of the first one."""
    number = float(name.removeprefix("epoch-"))
    return int(number) if number.is_integer() else number


def _scores_by_variant(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    by_variant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in _with(runs, "scores"):
        by_variant[run.variant] += run.load("scores")
    return by_variant


def _name_recipes(runs: Runs) -> dict[tuple[str, str], str]:
    """Name each recipe: the variant and, where it has several recipes, the settings in which they differ.

    Pictures made elsewhere have the name of what made them. Recipes with the same settings differ in the data or in the
    version of the training; their names end in the hash.
    """
    identities = [run.load("scores")[0]["identity"] | {"variant": run.variant} for run in _with(runs, "scores")]
    recipes = {(identity["variant"], identity["recipe"]): identity.get("name") for identity in identities}
    count = Counter(variant for variant, _ in recipes)
    settings = _differing_settings(runs)
    described = {}
    for (variant, recipe), name in recipes.items():
        detail = name or ("" if count[variant] == 1 else _describe_recipe(settings, variant, recipe))
        described[variant, recipe] = _add_detail(variant, detail)
    alike = Counter(described.values())
    return {
        recipe: name if alike[name] == 1 else f"{name} {recipe[1][:RECIPE_DIGITS]}"
        for recipe, name in described.items()
    }


def _add_detail(variant: str, detail: str | None) -> str:
    return f"{variant} ({detail})" if detail else variant


def _recipe_of(scores: Sequence[Mapping[str, Any]]) -> str:
    recipe: str = scores[0]["identity"]["recipe"]
    return recipe


def _describe_recipe(settings: pd.DataFrame, variant: str, recipe: str) -> str:
    """State the settings in which a recipe differs from others of its variant; its hash, if they are unknown."""
    if (variant, recipe) not in settings.index:
        return recipe[:RECIPE_DIGITS]
    of_variant = settings.loc[[variant]]
    differing = settings.loc[(variant, recipe), of_variant.columns[of_variant.nunique() > 1]]
    return ", ".join(f"{name} {value}" for name, value in differing.items()) or recipe[:RECIPE_DIGITS]


def _with(runs: Iterable[CataloguedRun], entry: str) -> Runs:
    return [run for run in runs if entry in run]


def _newest(runs: Runs, entry: str) -> Runs:
    """The newest run of each variant that has an entry."""
    return list({run.variant: run for run in _with(runs, entry)}.values())


def _newest_experiments(runs: Runs) -> dict[str, CataloguedRun]:
    """The newest augmentation experiment of each variant, and of each folder of pictures, by its name."""
    newest = {}
    for run in _with(_with(_with(runs, "verdicts"), "arm_scores"), "comparisons"):
        newest[_add_detail(run.variant, run.load("verdicts")[0].get("name"))] = run
    return newest


def _key(run: CataloguedRun) -> tuple[str, str]:
    return run.variant, run.version


def _label(run: CataloguedRun) -> str:
    return " ".join(_key(run))


def _parse_label(label: str) -> tuple[str, str]:
    """The variant and the version of `_label`."""
    variant, _, version = label.partition(" ")
    return variant, version


def _measured(runs: Runs, averages: pd.DataFrame) -> list[figures.Measured]:
    """Groups of averages that were measured alike, that of the newest runs first."""
    versions: dict[tuple[str, str], str] = {}
    for run in _with(runs, "scores"):
        recipe = run.variant, _recipe_of(run.load("scores"))
        versions[recipe] = max(versions.get(recipe, ""), run.version)
    groups = [figures.Measured(parts, group) for parts, group in metrics.group_by_measure(averages)]
    newest = [
        max(versions[pair] for pair in zip(group.averages["variant"], group.averages["recipe"], strict=True))
        for group in groups
    ]
    return [groups[place] for place in sorted(range(len(groups)), key=lambda place: newest[place], reverse=True)]


def _list_flags(runs: Runs, names: Mapping[tuple[str, str], str]) -> dict[str, list[str]]:
    """Warnings about the scores of each recipe, each with the seed of its training and the epoch of a milestone."""
    flags: dict[str, dict[str, None]] = defaultdict(dict)
    for run in _with(runs, "scores"):
        scores = run.load("scores")
        identity, name = scores[0]["identity"], names[run.variant, _recipe_of(scores)]
        milestone = f", milestone of epoch {identity['epoch']}" if _is_of_milestone(run) else ""
        origin = "" if "name" in identity else f"Seed {identity['seed']}{milestone}: "
        flags[name] |= dict.fromkeys(f"{origin}{flag}" for score in scores for flag in score["flags"])
    return {name: [*found] for name, found in flags.items() if found}


def _differing_settings(runs: Runs) -> pd.DataFrame:
    """The settings in which the recipes of a variant differ, by variant and recipe."""
    import pandas as pd  # noqa: PLC0415

    settings: dict[tuple[str, str], dict[str, str]] = {}
    for run in _with(runs, "scores"):
        recipe = _recipe_of(run.load("scores"))
        if (run.variant, recipe) not in settings and (config := _find_config(run, recipe)) is not None:
            plain = asdict(replace(config, seed=0, epochs=1, on_collapse="warn", preview_weights="ema"))
            plain["penalties"] = " and ".join(map(_describe_penalty, config.penalties)) or None
            named = {name: "none" if value is None else str(value) for name, value in flatten(plain).items()}
            settings[run.variant, recipe] = named
    index = pd.MultiIndex.from_arrays([*zip(*settings, strict=True)] or [[], []], names=["variant", "recipe"])
    table = pd.DataFrame([*settings.values()], index=index).fillna("none")
    return table.loc[:, table.groupby(level="variant").nunique().gt(1).any()]


def _describe_penalty(penalty: gan.PenaltyConfig) -> str:
    """Points, norm and weight of a penalty, such as ``real 0 x 10``."""
    side = " one-sided" if penalty.one_sided else ""
    steps = f" every {penalty.every_steps} steps" if penalty.every_steps > 1 else ""
    return f"{penalty.at} {penalty.target_norm:g}{side} x {penalty.weight:g}{steps}"


def _find_config(run: CataloguedRun, recipe: str) -> gan.GanConfig | None:
    """The settings of a run's training; runs of version 0.1 have them in their generator only."""
    if "config" in run:
        return run.load("config")
    if "generator" in run:
        with suppress(DatasetError):  # of the older generators, none has been read yet
            generator = run.load("generator")
            return generator.config if generator.training["recipe"] == recipe else None
    return None


def _comparable_histories(runs: Runs, names: Mapping[tuple[str, str], str]) -> dict[str, list[pd.DataFrame]]:
    """By recipe the histories of all trainings scored like the newest one, each from its newest run."""
    scored = [(run, run.load("scores")) for run in _with(_with(runs, "history"), "scores")]
    trainings = {scores[0]["identity"]["fingerprint"]: (run, scores) for run, scores in scored}
    newest = max(trainings.values(), key=lambda training: training[0].version)[1] if trainings else []
    histories: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for run, scores in trainings.values():
        if _scored_with(scores) == _scored_with(newest):
            seed = scores[0]["identity"]["seed"]
            histories[names[run.variant, _recipe_of(scores)]].append(run.load("history").assign(seed=seed))
    return dict(histories)


def _scored_with(scores: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The comparability keys of FID and Inception Score without metric and number of samples."""
    keys = [score["comparability"] for score in scores if score["metric"] in ("fid", "is")]
    return {part: value for key in keys for part, value in key.items() if part not in ("metric", "samples")}

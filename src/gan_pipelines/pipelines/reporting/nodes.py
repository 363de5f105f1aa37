"""Nodes of the comparison of runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import DatasetError
from numpy.typing import NDArray

from gan_pipelines import figures, gan, metrics
from gan_pipelines.core.config import flatten
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.datasets import CataloguedRun

Runs = list[CataloguedRun]
Pictures = dict[str, NDArray[np.uint8]]

INTERPOLATION_ROWS, INTERPOLATION_STEPS, INTERPOLATION_SEED = 8, 10, 0
RECIPE_DIGITS = 6
"""Number of digits shown of a recipe's hash."""


def average_scores(all_runs: Runs) -> pd.DataFrame:
    """Average the scores of each variant over the seeds of its runs."""
    return metrics.average_scores(_scores_by_variant(all_runs))


def compare_recipes(all_runs: Runs) -> pd.DataFrame:
    """Compare the FID of recipes that have at least three training seeds in common."""
    return metrics.compare_recipes(_scores_by_variant(all_runs), _name_recipes(all_runs))


def list_runs(all_runs: Runs) -> pd.DataFrame:
    """List the scored runs with the settings in which the runs of a variant differ, scores and provenance."""
    runs = metrics.list_runs({(run.variant, run.version): run.load("scores") for run in _with(all_runs, "scores")})
    first = runs[["run", "variant", "seed", "epochs", "recipe"]]
    settings = _differing_settings(all_runs)
    return pd.concat([first.join(settings, on=["variant", "recipe"]), runs[runs.columns.drop(first.columns)]], axis=1)


def plot_scores_by_epoch(all_runs: Runs) -> figures.Figure:
    """Plot FID and Inception Score by epoch, one line for each training scored like the newest."""
    return figures.plot_scores_by_epoch(_comparable_histories(all_runs))


def interpolate_latents(all_runs: Runs, device: DeviceName) -> Pictures:
    """Interpolate between latents with the newest readable generator of each variant."""
    grids = {}
    for variant in dict.fromkeys(run.variant for run in all_runs):
        newest_first = [run for run in reversed(all_runs) if run.variant == variant]
        for run, generator in islice(_readable(newest_first, "generator"), 1):
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
    all_runs: Runs,
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
    scores = metrics.tabulate_scores(average_scores)
    return figures.render_comparison(
        figures.Comparison(
            experiment=experiment,
            manifest=manifest,
            runs=runs.assign(recipe=runs["recipe"].str[:RECIPE_DIGITS]),
            scores=scores.assign(recipe=scores["recipe"].str[:RECIPE_DIGITS]),
            keys=metrics.list_keys(average_scores),
            verdicts=recipe_comparisons["sentence"].tolist(),
            histories=_comparable_histories(all_runs),
            real=real,
            losses={_label(run): run.load("history") for run in _newest(all_runs, "history")},
            progress={
                _label(run): {int(name.removeprefix("epoch-")): grid for name, grid in run.load("sample_grids").items()}
                for run in _newest(all_runs, "sample_grids")
            },
            interpolations=interpolations,
            arms={
                _label(run): figures.Arms(
                    run.load("arm_scores"),
                    run.load("comparisons"),
                    [verdict["sentence"] for verdict in run.load("verdicts")],
                )
                for run in _newest(all_runs, "verdicts")
            },
        )
    )


def _scores_by_variant(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    by_variant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in _with(runs, "scores"):
        by_variant[run.variant] += run.load("scores")
    return by_variant


def _name_recipes(runs: Runs) -> dict[tuple[str, str], str]:
    """Name each recipe: the variant and, where it has several recipes, the settings in which they differ.

    Recipes with the same settings differ in the data or in the version of the training; their names end in the hash.
    """
    recipes = dict.fromkeys((run.variant, _recipe_of(run.load("scores"))) for run in _with(runs, "scores"))
    count = Counter(variant for variant, _ in recipes)
    settings = _differing_settings(runs)
    described = {
        (variant, recipe): variant
        if count[variant] == 1
        else f"{variant} ({_describe_recipe(settings, variant, recipe)})"
        for variant, recipe in recipes
    }
    alike = Counter(described.values())
    return {
        recipe: name if alike[name] == 1 else f"{name} {recipe[1][:RECIPE_DIGITS]}"
        for recipe, name in described.items()
    }


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


def _label(run: CataloguedRun) -> str:
    return f"{run.variant} {run.version}"


def _readable(runs: Iterable[CataloguedRun], entry: str) -> Iterator[tuple[CataloguedRun, Any]]:
    """Load an entry of each run that has it, but for files that an older version of the project wrote."""
    for run in _with(runs, entry):
        with suppress(DatasetError):
            yield run, run.load(entry)


def _differing_settings(runs: Runs) -> pd.DataFrame:
    """The settings in which the recipes of a variant differ, by variant and recipe."""
    settings: dict[tuple[str, str], dict[str, str]] = {}
    for run in _with(runs, "scores"):
        recipe = _recipe_of(run.load("scores"))
        if (run.variant, recipe) not in settings and (config := _find_config(run, recipe)) is not None:
            flat = flatten(asdict(replace(config, seed=0, epochs=1, on_collapse="warn", preview_weights="ema")))
            named = {name: "none" if value is None else str(value) for name, value in flat.items()}
            settings[run.variant, recipe] = named
    index = pd.MultiIndex.from_arrays([*zip(*settings, strict=True)] or [[], []], names=["variant", "recipe"])
    table = pd.DataFrame([*settings.values()], index=index).fillna("none")
    return table.loc[:, table.groupby(level="variant").nunique().gt(1).any()]


def _find_config(run: CataloguedRun, recipe: str) -> gan.GanConfig | None:
    """The settings of a run's training; runs of version 0.1 have them in their generator only."""
    for _, config in _readable([run], "config"):
        return config
    for _, generator in _readable([run], "generator"):
        if generator.training["recipe"] == recipe:
            return generator.config
    return None


def _comparable_histories(runs: Runs) -> dict[str, list[pd.DataFrame]]:
    """By recipe the histories of all trainings scored like the newest one, each from its newest run."""
    names = _name_recipes(runs)
    scored = [(run, run.load("scores")) for run in _with(_with(runs, "history"), "scores")]
    trainings = {scores[0]["identity"]["fingerprint"]: (run, scores) for run, scores in scored}
    newest = max(trainings.values(), key=lambda training: training[0].version)[1] if trainings else []
    histories: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for run, scores in trainings.values():
        if _scored_with(scores) == _scored_with(newest):
            histories[names[run.variant, _recipe_of(scores)]].append(run.load("history"))
    return dict(histories)


def _scored_with(scores: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The comparability keys of FID and Inception Score without metric and number of samples."""
    keys = [score["comparability"] for score in scores if score["metric"] in ("fid", "is")]
    return {part: value for key in keys for part, value in key.items() if part not in ("metric", "samples")}

"""Nodes of the comparison of runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
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
"""Of a recipe's hash, shown to tell recipes apart."""


def average_scores(all_runs: Runs) -> pd.DataFrame:
    """Average the scores of every run of every variant over seeds."""
    by_variant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in _with(all_runs, "scores"):
        by_variant[run.variant] += run.load("scores")
    return metrics.average_scores(by_variant)


def tabulate_scores(average_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the averages out, a column for each comparability key."""
    return metrics.tabulate_scores(average_scores)


def list_runs(all_runs: Runs) -> pd.DataFrame:
    """List every scored run, the settings that differ between those of a variant, and where its numbers come from."""
    runs = metrics.list_runs({(run.variant, run.version): run.load("scores") for run in _with(all_runs, "scores")})
    first = runs[["run", "variant", "seed", "epochs", "recipe"]]
    settings = _differing_settings(all_runs)
    return pd.concat([first.join(settings, on=["variant", "recipe"]), runs[runs.columns.drop(first.columns)]], axis=1)


def plot_scores_by_epoch(all_runs: Runs) -> figures.Figure:
    """Draw FID and Inception Score over epochs, a line for each training that may be compared with the newest."""
    return figures.plot_scores_by_epoch(_comparable_histories(all_runs))


def interpolate_latents(all_runs: Runs, device: DeviceName) -> Pictures:
    """Show where latents lead from one to another, for the newest generator of each variant."""
    newest = {run.variant: (run, generator) for run, generator in _generators(all_runs)}
    return {
        _label(run): figures.make_image_grid(
            gan.interpolate(generator, INTERPOLATION_ROWS, INTERPOLATION_STEPS, seed=INTERPOLATION_SEED, device=device),
            columns=INTERPOLATION_STEPS,
        )
        for run, generator in newest.values()
    }


def render_comparison(
    all_runs: Runs,
    average_scores: pd.DataFrame,
    score_table: pd.DataFrame,
    runs: pd.DataFrame,
    interpolations: Pictures,
    image_grid: Pictures,
    manifest: dict[str, Any],
    experiment: str,
) -> str:
    """Write the page that compares all runs."""
    (real,) = image_grid.values()
    return figures.render_comparison(
        figures.Comparison(
            experiment=experiment,
            manifest=manifest,
            runs=runs.assign(recipe=runs["recipe"].str[:RECIPE_DIGITS]),
            scores=score_table.assign(recipe=score_table["recipe"].str[:RECIPE_DIGITS]),
            keys=metrics.list_keys(average_scores),
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


def _with(runs: Runs, entry: str) -> Runs:
    return [run for run in runs if entry in run]


def _newest(runs: Runs, entry: str) -> Runs:
    """Of each variant the newest run that has left such an entry."""
    return list({run.variant: run for run in _with(runs, entry)}.values())


def _label(run: CataloguedRun) -> str:
    return f"{run.variant} {run.version}"


def _generators(runs: Runs) -> Iterator[tuple[CataloguedRun, gan.TrainedGenerator]]:
    """What can be loaded: a generator of an older format does not bar the comparison of the others."""
    for run in _with(runs, "generator"):
        with suppress(DatasetError):
            yield run, run.load("generator")


def _differing_settings(runs: Runs) -> pd.DataFrame:
    """Settings that are not the same in all recipes of a variant, by variant and recipe."""
    settings: dict[tuple[str, str], dict[str, str]] = {}
    for run, generator in _generators(runs):
        flat = flatten(asdict(replace(generator.config, seed=0, epochs=1)))
        named = {name: "none" if value is None else str(value) for name, value in flat.items()}
        settings[run.variant, generator.training["recipe"]] = named
    index = pd.MultiIndex.from_arrays([*zip(*settings, strict=True)] or [[], []], names=["variant", "recipe"])
    table = pd.DataFrame([*settings.values()], index=index).fillna("none")
    return table.loc[:, table.groupby(level="variant").nunique().gt(1).any()]


def _comparable_histories(runs: Runs) -> dict[str, list[pd.DataFrame]]:
    """By variant the history of each training as its newest run has it, of those that were scored like the newest."""
    scored = [(run, run.load("scores")[0]) for run in _with(_with(runs, "history"), "scores")]
    trainings = {score["identity"]["fingerprint"]: (run, _scored_with(score)) for run, score in scored}
    _, newest = max(trainings.values(), key=lambda training: training[0].version, default=(None, None))
    histories: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for run, scored_with in trainings.values():
        if scored_with == newest:
            histories[run.variant].append(run.load("history"))
    return dict(histories)


def _scored_with(score: Mapping[str, Any]) -> dict[str, Any]:
    """What scores must share, but for their number of samples."""
    return {part: value for part, value in score["comparability"].items() if part not in ("metric", "samples")}

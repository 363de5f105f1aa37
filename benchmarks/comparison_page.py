"""Measure how long the comparison of many runs takes, and how large its page is.

    python benchmarks/comparison_page.py [RUNS]

Writes files of runs without training: scores and curves are made up, and pictures are random. Then it makes the page
as `kedro run --pipelines=compare` does, without Kedro's own start, and prints seconds and megabytes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from kedro.io import AbstractDataset
from numpy.typing import NDArray

from gan_pipelines import datasets
from gan_pipelines.gan import VARIANTS, GanConfig
from gan_pipelines.pipelines.reporting import nodes

CATALOG = Path(__file__).parents[1] / "conf/base/catalog.yml"
METRICS = {
    "fid": 10.0, "is": 8.0, "kid": 0.1, "precision": 0.8, "recall": 0.6, "copies": 0.01, "fid_infinity": 9.0,
    "density": 0.9, "coverage": 0.7, "authenticity": 0.6, "heldout_authenticity": 0.7,
}  # fmt: skip
"""Typical values of all metrics."""
EPOCHS, SCORED_EVERY, GRID_EVERY = 50, 5, 5
LEARNING_RATES = (1e-4, 2e-4)
"""Two recipes of each variant."""
PIXELS = 8 * 34 + 2
"""Width of a grid of 8x8 images of 32x32 pixels."""


def main() -> None:
    """Write runs, make the page, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=int, nargs="?", default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_runs(options.runs)
        started = time.perf_counter()
        page = make_page()
        seconds = time.perf_counter() - started
    print(f"{options.runs} runs: {seconds:.1f} s, {len(page.encode()) / 1e6:.2f} MB")


def list_entries() -> dict[str, Any]:
    """The entries that a comparison reads, with paths relative to the working directory."""
    catalog = yaml.safe_load(CATALOG.read_text().replace("${globals:experiment}", "digits"))
    entries: dict[str, Any] = catalog["all_runs"]["entries"]
    return entries


def write_runs(count: int) -> None:
    """Write the files of runs into the working directory: all variants, two recipes of each, and several seeds."""
    draws = np.random.default_rng(0)
    variants = list(VARIANTS.items())
    for number in range(count):
        variant, config = variants[number % len(variants)]
        recipe, seed = divmod(number // len(variants), 2)[::-1]
        optimizer = replace(config.generator_optimizer, learning_rate=LEARNING_RATES[recipe])
        changed = replace(config, seed=seed, epochs=EPOCHS, generator_optimizer=optimizer)
        write_run(variant, number, make_run(variant, changed, f"{variant}{recipe}", draws))


def write_run(variant: str, number: int, contents: dict[str, Any]) -> None:
    """Save the entries of a run by their datasets, without those that are not among its contents."""
    version = f"2026-01-01T{number // 60:02}.{number % 60:02}.00.000Z"
    for entry, settings in list_entries().items():
        if entry in contents:
            filled = {**settings, "filepath": settings["filepath"].format(variant=variant), "versioned": True}
            AbstractDataset.from_config(entry, filled, save_version=version).save(contents[entry])


def make_run(variant: str, config: GanConfig, recipe: str, draws: np.random.Generator) -> dict[str, Any]:
    """Make up what a training leaves, and what an augmentation experiment of one in two seeds leaves."""
    level = float(draws.uniform(0.5, 3.0))
    contents = {
        "scores": [
            make_score(metric, value * level, generator, weights, config, recipe)
            for generator in ("last", "best")
            for weights in ("ema", "raw")
            for metric, value in METRICS.items()
        ],
        "config": config,
        "history": make_history(level, draws),
        "sample_grids": {
            f"epoch-{epoch:04}": draw_picture(draws) for epoch in range(GRID_EVERY, EPOCHS + 1, GRID_EVERY)
        },
        "neighbours": {"neighbours": draw_picture(draws)},
    }
    return contents if config.seed % 2 else contents | make_experiment(draws)


def make_score(
    metric: str, value: float, generator: str, weights: str, config: GanConfig, recipe: str
) -> dict[str, Any]:
    """Make the record of a score; that of the best generator is lower for even seeds and the same for others."""
    factor = 0.9 if generator == "best" and config.seed % 2 == 0 else 1.0
    key = {"is_splits": 10} if metric == "is" else {"heldout_hash": "b" * 64} if "copies" in metric else {}
    return {
        "metric": metric,
        "value": value * factor * (1.5 if weights == "raw" else 1.0),
        "comparability": {
            "metric": metric, "samples": 2000, "extractor": "resnet8", "extractor_weights": "f0cf05252b5f36a0",
            "resize_filter": "bicubic", "reference_split": "train", "reference_hash": "a" * 64,
            "class_frequencies": "reference", **key,
        },
        "identity": {
            "generator": generator, "weights": weights, "epoch": EPOCHS, "trained_epochs": EPOCHS, "recipe": recipe,
            "seed": config.seed, "sampling_seed": 0, "data_hash": "a" * 64, "fingerprint": f"{recipe}-{config.seed}",
            "device": "cpu", "mlflow_run_id": "c" * 32,
        },
        "extractor": {"heldout_accuracy": 0.98},
        "flags": ["Most samples have a near-duplicate."] if value > 25 else [],
        "notes": [],
    }  # fmt: skip


def make_history(level: float, draws: np.random.Generator) -> pd.DataFrame:
    """Make up the curves of a training."""
    epochs = np.arange(1, EPOCHS + 1)
    noise = draws.normal(1, 0.05, (4, EPOCHS))
    scored = epochs % SCORED_EVERY == 0
    return pd.DataFrame(
        {
            "epoch": epochs,
            "discriminator_loss": noise[0],
            "generator_loss": noise[1] / 2,
            "real_accuracy": noise[2] * 0.7,
            "fake_accuracy": noise[3] * 0.6,
            "fid_1k": np.where(scored, level * (10 + 300 / epochs) * noise[0], np.nan),
            "is_1k": np.where(scored, (9 - 8 / epochs) * noise[1] / level**0.2, np.nan),
        }
    )


def make_experiment(draws: np.random.Generator) -> dict[str, Any]:
    """Make up the results of an augmentation experiment."""
    arms = ("real", "real_longer", "added_1x", "added_3x", "transformed", "transformed_added_3x")
    accuracies = [
        {"fraction": 0.1, "seed": seed, "arm": arm, "accuracy": draws.uniform(0.85, 0.95), "is_main": True}
        for arm in arms
        for seed in range(5)
    ]
    differences = [
        {
            "fraction": 0.1, "arm": arm, "baseline": "real_longer", "is_primary": arm == "added_3x", "is_main": True,
            "difference": 0.02, "interval_low": -0.01, "interval_high": 0.05, "verdict": "no difference shown",
        }
        for arm in arms[2:4]
    ]  # fmt: skip
    sentence = "10% of the real images (116): no difference shown."
    verdict = {"fraction": 0.1, "baseline": "real_longer", "verdict": "no difference shown", "sentence": sentence}
    return {
        "arm_scores": pd.DataFrame(accuracies),
        "comparisons": pd.DataFrame(differences),
        "verdicts": [verdict],
    }


def draw_picture(draws: np.random.Generator) -> NDArray[np.uint8]:
    """Draw soft grey noise, which takes about as many bytes as a grid of digits."""
    coarse = draws.integers(0, 256, (PIXELS // 4 + 1, PIXELS // 4 + 1, 1))
    fine = coarse.repeat(4, axis=0).repeat(4, axis=1)[:PIXELS, :PIXELS].repeat(3, axis=2)
    return fine.astype(np.uint8)


def make_page() -> str:
    """Make the page of the runs in the working directory."""
    runs = nodes.read_runs(datasets.RunsDataset(entries=list_entries()).load())
    averages, pairs = nodes.average_scores(runs), nodes.compare_recipes(runs)
    nodes.plot_scores_by_epoch(runs)
    real = {"real": draw_picture(np.random.default_rng(1))}
    return nodes.render_comparison(runs, averages, pairs, nodes.list_runs(runs), {}, real, {}, "digits")


if __name__ == "__main__":
    main()

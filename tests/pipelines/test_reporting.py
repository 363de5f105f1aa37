from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gan_pipelines.datasets import CataloguedRun
from gan_pipelines.gan import train
from gan_pipelines.pipelines.reporting import nodes


def record(fingerprint="f", recipe="r", extractor="x", generator="last", value=1.0):
    return {
        "metric": "fid",
        "value": value,
        "comparability": {
            "metric": "fid", "samples": 100, "extractor": extractor, "extractor_weights": "w",
            "resize_filter": "bicubic", "reference_split": "train", "reference_hash": "0" * 64,
        },
        "identity": {
            "generator": generator, "weights": "ema", "epoch": 2, "trained_epochs": 4, "recipe": recipe, "seed": 0,
            "sampling_seed": 0, "data_hash": "d" * 64, "fingerprint": fingerprint, "device": "cpu",
            "mlflow_run_id": "m",
        },
        "extractor": {"heldout_accuracy": 0.9},
        "flags": ["poor"] if value > 1 else [],
    }  # fmt: skip


def run(variant, version, *scores, **entries):
    loaders = {
        "scores": lambda: list(scores),
        "history": lambda: pd.DataFrame({"epoch": [int(version)], "fid_1k": [1.0]}),
    }
    return CataloguedRun(
        variant, version, loaders | {name: lambda value=value: value for name, value in entries.items()}
    )


def epochs_drawn(runs):
    lines = nodes.plot_scores_by_epoch(runs).axes[0].lines
    return {
        line.get_label() if not line.get_label().startswith("_") else "again": list(line.get_xdata()) for line in lines
    }


def test_a_training_that_was_scored_twice_has_one_line_its_newest():
    assert epochs_drawn([run("a", "1", record()), run("a", "2", record())]) == {"a": [2]}


def test_trainings_scored_with_another_extractor_than_the_newest_are_not_drawn():
    old, new = run("b", "1", record("g", extractor="y")), run("a", "2", record())
    assert epochs_drawn([new, old]) == {"a": [2]}
    assert epochs_drawn([run("a", "1", record()), run("b", "2", record("g"))]) == {"a": [1], "b": [2]}


def test_runs_are_listed_with_scores_provenance_and_flags():
    table = nodes.list_runs([run("a", "1", record(), record(generator="best", value=2.0))])
    (row,) = table.to_dict("records")
    assert (row["run"], row["variant"], row["fid_ema"], row["best_fid_ema"]) == ("1", "a", 1.0, 2.0)
    assert (row["epochs"], row["best_epoch"], row["mlflow_run"], row["flags"]) == (4, 2, "m", "poor")


@pytest.fixture
def generators(tiny_gan, tiny_images):
    def make(**changes):
        return list(train(replace(tiny_gan, epochs=1, **changes), tiny_images, device="cpu"))[-1].generator

    return make


def test_settings_that_differ_within_a_variant_are_columns(generators):
    plain, other_seed, other = generators(), generators(seed=5), generators(batch_size=16)
    runs = [
        run("a", str(number), record(recipe=generator.training["recipe"]), generator=generator)
        for number, generator in enumerate((plain, other_seed, other))
    ]
    table = nodes.list_runs(runs)
    assert table["batch_size"].tolist() == ["8", "8", "16"]
    assert list(table.columns[:7]) == ["run", "variant", "seed", "epochs", "recipe", "batch_size", "fid_ema"]
    apart = [run("a", "0", record(recipe=plain.training["recipe"]), generator=plain), run("b", "1", record())]
    assert "batch_size" not in nodes.list_runs(apart)


def test_each_variant_shows_its_newest_generator_in_between(generators, monkeypatch):
    old, new = generators(), generators(seed=1)
    runs = [run("a", "1", generator=old), run("a", "2", generator=new), run("b", "1", record())]
    shown = nodes.interpolate_latents(runs, "cpu")
    assert list(shown) == ["a"]
    again = nodes.interpolate_latents(runs[1:], "cpu")
    assert np.array_equal(shown["a"], again["a"])
    assert not np.array_equal(shown["a"], nodes.interpolate_latents(runs[:1], "cpu")["a"])

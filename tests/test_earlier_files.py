"""Files that version 0.1 wrote: scores and MLflow's database. Its generators: tests/gan/test_sampling.py."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from gan_pipelines import metrics
from gan_pipelines.datasets import RunsDataset

FIXTURES = Path(__file__).parent / "fixtures"
VERSION = "2026-11-25T21.38.14.667Z"


def test_scores_are_compared(tmp_path):
    file = tmp_path / f"cdcgan/scores.json/{VERSION}/scores.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(lzma.decompress((FIXTURES / "scores_0.1.json.xz").read_bytes()))
    entry = {"type": "gan_pipelines.datasets.JSONDataset", "filepath": f"{tmp_path}/{{variant}}/scores.json"}
    (run,) = RunsDataset(entries={"scores": entry}).load()
    assert (run.variant, run.version) == ("cdcgan", VERSION)
    scores = run.load("scores")
    averages = metrics.average_scores({"cdcgan": scores})
    assert averages.loc[0, ["metric", "samples", "generator", "weights", "n"]].tolist() == ["fid", 40, "last", "ema", 1]
    assert set(averages["class_frequencies"]) == {"uniform"}
    assert averages.loc[0, "mean"] == pytest.approx(115643.85461181813)
    assert metrics.tabulate_scores(averages)["variant"].tolist() == ["cdcgan"] * 4
    assert metrics.list_runs({("cdcgan", VERSION): scores}).loc[0, "fid_ema"] == averages.loc[0, "mean"]
    assert json.dumps(scores)  # plain values


def test_runs_in_mlflow_are_read(tmp_path):
    database = tmp_path / "mlflow.db"
    database.write_bytes(lzma.decompress((FIXTURES / "mlflow_0.1.db.xz").read_bytes()))
    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("digits")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "train_cdcgan seed 0 digits"
    assert run.info.status == "FINISHED"
    assert run.data.metrics["fid_ema"] == pytest.approx(115643.85461181813)
    assert run.data.params["networks.critic_norm"] == "none"
    assert run.data.tags["catalog_version"] == VERSION
    assert [point.step for point in client.get_metric_history(run.info.run_id, "generator_loss")] == [1, 2]

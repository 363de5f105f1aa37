"""Views of MLflow's list of runs. What a browser makes of them: tests/browser/test_mlflow_ui.py."""

from __future__ import annotations

import json

import mlflow
import pytest

from gan_pipelines.metrics.summary import HEADLINES
from gan_pipelines.tracking.views import AUGMENTATION, CLASSIFIERS, CURVES, SCORES, VIEWS, comparable_scores

ALL = (*VIEWS, comparable_scores("abc"))


def test_the_first_columns_are_the_headline_scores_the_lowest_fid_above():
    assert SCORES.state["selectedColumns"][: len(HEADLINES)] == [f"metrics.`{name}`" for name in HEADLINES]
    assert SCORES.state["orderByKey"] == "metrics.`fid`"
    assert SCORES.state["orderByAsc"] is True


@pytest.mark.parametrize("view", ALL, ids=lambda view: view.key)
def test_a_view_is_a_tag_that_mlflow_keeps_and_its_interface_reads(local, view):
    experiment = local.get_experiment_by_name("tests").experiment_id
    local.set_experiment_tag(experiment, view.tag, view.encode())
    stored = json.loads(local.get_experiment(experiment).tags[view.tag])
    assert stored["name"] == view.name
    assert isinstance(stored["createdAt"], int)
    assert json.loads(stored["state"]) == view.state


def test_each_view_finds_its_runs(local):
    experiment = local.get_experiment_by_name("tests").experiment_id
    kinds = {
        "scored": ({"fid": 2.5}, {"score_key": "abc", "training": "f"}),
        "scored otherwise": ({"fid": 1.5}, {"score_key": "xyz", "training": "f"}),
        "augmented": ({"accuracy_real": 0.5, "accuracy_with_generated": 0.6}, {}),
        "classifier": ({"test_accuracy": 0.5}, {"kind": "classifier"}),
        "compared": ({}, {}),
    }
    for name, (metrics, tags) in kinds.items():
        with mlflow.start_run(run_name=name, tags=tags):
            mlflow.log_metrics(metrics)

    def names(view):
        direction = "ASC" if view.state.get("orderByAsc") else "DESC"
        order = [f"{view.state['orderByKey']} {direction}"] if "orderByKey" in view.state else None
        return [
            run.info.run_name for run in local.search_runs([experiment], view.state["searchFilter"], order_by=order)
        ]

    assert names(SCORES) == ["scored otherwise", "scored"]
    assert names(comparable_scores("abc")) == ["scored"]
    assert names(AUGMENTATION) == ["augmented"]
    assert names(CLASSIFIERS) == ["classifier"]
    assert set(names(CURVES)) == {"scored", "scored otherwise"}

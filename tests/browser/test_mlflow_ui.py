"""What MLflow's interface shows of a short training."""

from __future__ import annotations

import json

import pytest

from browsing import MLFLOW, click, find, open_mlflow, serve
from command_line import latest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(small_project):
    with serve(MLFLOW, small_project) as address:
        yield address


def test_a_run_is_found_by_its_experiment_and_shows_its_scores(browser, address, small_project):
    open_mlflow(browser, address)
    click(browser, "a", "digits")
    click(browser, "a", "train_cdcgan")
    find(browser, "h1, h2, h3", "train_cdcgan")
    scores = json.loads(latest(small_project, "08_reporting/digits/cdcgan/scores.json").read_text())
    last = [score for score in scores if score["identity"]["generator"] == "last" and "class" not in score["metric"]]
    assert {score["metric"] for score in last} >= {"fid", "is", "kid", "precision", "recall"}
    for score in last:
        row = find(browser, "[role=row]", f"{score['metric']}_{score['identity']['weights']}\n").text
        assert float(row.splitlines()[1]) == pytest.approx(score["value"])


def test_the_samples_are_among_the_artifacts(browser, address):
    open_mlflow(browser, address)
    click(browser, "a", "digits")
    click(browser, "a", "train_cdcgan")
    click(browser, "[role=tab], a", "Artifacts")
    find(browser, "body", "loss_curves")
    find(browser, "body", "sample_grids")

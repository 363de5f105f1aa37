"""What MLflow's interface shows of a short training."""

from __future__ import annotations

import json

import pytest

from browsing import MLFLOW, click, find, forget, open_mlflow, serve
from command_line import latest
from gan_pipelines.metrics.summary import HEADLINES
from gan_pipelines.tracking.views import CURVES, SCORES

pytestmark = pytest.mark.browser

DIGITS = "1"
"""Identifier of the experiment."""


@pytest.fixture(scope="module")
def address(small_project):
    with serve(MLFLOW, small_project) as address:
        yield address


def texts(browser, selector):
    return [element.text for element in browser.find_elements("css selector", selector)]


def test_the_start_page_of_a_new_user_lists_the_runs_by_fid(browser, address):
    forget(browser, address)
    browser.get(SCORES.address(address.rstrip("/"), DIGITS))
    find(browser, ".ag-row", "train_cdcgan seed 0 digits")
    find(browser, "button", "Sort: fid")
    cells = sorted(browser.find_elements("css selector", ".ag-header-cell"), key=lambda cell: cell.location["x"])
    assert [cell.text for cell in cells if cell.text][:5] == ["Run Name", "Created", *HEADLINES[:3]]


def test_the_curves_of_a_new_user_are_those_of_the_training(browser, address):
    forget(browser, address)
    browser.get(CURVES.address(address.rstrip("/"), DIGITS))
    find(browser, ".js-line")
    find(browser, "body", "train/generator_loss")


def test_a_run_is_found_by_its_experiment_and_shows_its_scores(browser, address, small_project):
    open_mlflow(browser, address)
    click(browser, "a", "digits")
    click(browser, "a", "train_cdcgan")
    find(browser, "h1, h2, h3", "train_cdcgan")
    scores = json.loads(latest(small_project, "08_reporting/digits/cdcgan/scores.json").read_text())
    find(browser, "[role=row]", "raw/fid\n")
    shown = dict(text.splitlines()[:2] for text in texts(browser, "[role=row]") if "\n" in text)
    raw = [
        score for score in scores if (score["identity"]["generator"], score["identity"]["weights"]) == ("last", "raw")
    ]
    for score in raw:
        if "class" not in score["metric"]:
            assert float(shown[f"raw/{score['metric']}"]) == pytest.approx(score["value"])
    assert set(HEADLINES) <= set(shown)


def test_the_samples_are_among_the_artifacts(browser, address):
    open_mlflow(browser, address)
    click(browser, "a", "digits")
    click(browser, "a", "train_cdcgan")
    click(browser, "[role=tab], a", "Artifacts")
    find(browser, "body", "loss_curves")
    find(browser, "body", "sample_grids")

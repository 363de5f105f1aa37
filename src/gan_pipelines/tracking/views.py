"""Views of MLflow's list of runs: which runs and columns it shows, in which order, and at which address."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from gan_pipelines.tracking.tags import VERSION

TAG_PREFIX = "mlflow.sharedViewState."
"""Beginning of the tags of an experiment in which MLflow's interface looks for views."""
CHARTS = {"compareRunsMode": "CHART"}
"""Part of an address that opens a list of runs with its charts."""
WIDTHS = {"attributes.`Run Name`": 210, "runDateAndNestInfo": 130, "attributes.`Dataset`": 190}
"""Widths of some columns in pixels; others are as wide as their titles, so that a small window shows the first ones."""


@dataclass(frozen=True)
class View:
    """A view of the runs of an experiment.

    Attributes:
        key: what the address calls it.
        name: what the menu "Views" calls it.
        state: settings of the page, with the names that MLflow gives them.
        query: more of its address.
    """

    key: str
    name: str
    state: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Tag of the experiment that holds the view."""
        return TAG_PREFIX + self.key

    def encode(self) -> str:
        """The value of the tag, with a creation time in milliseconds."""
        return json.dumps({"name": self.name, "createdAt": round(time.time() * 1000), "state": json.dumps(self.state)})

    def address(self, interface: str, experiment_id: str) -> str:
        """The full address of the view.

        Args:
            interface: address of MLflow's interface.
            experiment_id: experiment whose runs it shows.
        """
        # Without the workflow, the page opens for language models and has no list of runs.
        query = {"workflowType": "machine_learning", "viewStateShareKey": self.key, **self.query}
        return f"{interface}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def _columns(kind: str, *names: str) -> list[str]:
    return [f"{kind}.`{name}`" for name in names]


def _list_runs(
    query: str, order_by: str, ascending: bool, columns: list[str], widths: Mapping[str, int] = WIDTHS
) -> dict[str, Any]:
    """Settings of a table of runs; its first columns are always the name and the date of the run."""
    order = [*_columns("attributes", "Run Name"), "runDateAndNestInfo", *columns]
    return {
        "searchFilter": query,
        "orderByKey": order_by,
        "orderByAsc": ascending,
        "selectedColumns": columns,
        "columnOrder": order,
        "columnWidths": {column: max(95, 7 * len(column.partition(".")[2]) + 25) for column in order} | dict(widths),
    }


SCORE_COLUMNS = [
    *_columns("metrics", "fid", "is", "kid", "precision", "recall", "copies"),
    *_columns("metrics", "accuracy_real", "accuracy_with_generated"),
    *_columns("tags", "variant", "seed", "epochs", "weights", "score_key"),
    *_columns("attributes", "Dataset"),
]
AUGMENTATION_COLUMNS = [
    *_columns("metrics", "accuracy_real", "accuracy_with_generated", "fid"),
    *_columns("tags", "variant", "seed"),
    *_columns("params", "augmentation.fractions", "augmentation.replicates", "augmentation.generator_epochs"),
    *_columns("tags", "verdict"),
    *_columns("attributes", "Dataset"),
]
CLASSIFIER_COLUMNS = [
    *_columns("metrics", "test_accuracy", "test_macro_f1", "test_calibration_error"),
    *_columns("params", "real_images", "synthetic_images", "steps"),
    *_columns("tags", "variant"),
]
ARM = [
    *({"mode": "param", "groupByData": name} for name in ("arm", "learning_rate", "fraction")),
    {"mode": "tag", "groupByData": VERSION},  # apart from the arms of other runs
]
"""What the classifiers of an arm have in common."""

SCORES = View("scores", "Scores", _list_runs("metrics.fid >= 0", "metrics.`fid`", True, SCORE_COLUMNS))
AUGMENTATION = View(
    "augmentation",
    "Augmentation",
    _list_runs("metrics.accuracy_real >= 0", "metrics.`accuracy_with_generated`", False, AUGMENTATION_COLUMNS),
)
CLASSIFIERS = View(
    "classifiers",
    "Classifiers by arm",
    _list_runs(
        "tags.kind = 'classifier'",
        "attributes.start_time",
        False,
        CLASSIFIER_COLUMNS,
        WIDTHS | {"attributes.`Run Name`": 420},  # the name of a group has all that its runs have in common
    )
    | {"groupBy": {"aggregateFunction": "average", "groupByKeys": ARM}},
)
CURVES = View(
    "curves",
    "Training curves",
    {"searchFilter": "tags.training LIKE '%'", "chartsSearchFilter": "^train/", "runsHiddenMode": "FIRST_20_RUNS"},
    CHARTS,
)
VIEWS = (SCORES, AUGMENTATION, CLASSIFIERS, CURVES)
"""Views of every experiment."""


def comparable_scores(score_key: str) -> View:
    """The view of the runs whose scores may be compared.

    Args:
        score_key: their tag ``score_key``.
    """
    state = _list_runs(f"tags.score_key = '{score_key}'", "metrics.`fid`", True, SCORE_COLUMNS)
    return View(f"scores-{score_key}", f"Scores with key {score_key}", state)


def list_addresses(client: Any, interface: str) -> Iterator[tuple[str, str]]:
    """List the start page of each experiment that has runs of a project such as this, by name, and give it the `VIEWS`.

    Args:
        client: an `MlflowClient`. What it raises is raised.
        interface: address of MLflow's interface.
    """
    for experiment in client.search_experiments():
        if client.search_runs([experiment.experiment_id], f"tags.{VERSION} LIKE '%'", max_results=1):
            for view in VIEWS:
                client.set_experiment_tag(experiment.experiment_id, view.tag, view.encode())
            yield experiment.name, SCORES.address(interface, experiment.experiment_id)

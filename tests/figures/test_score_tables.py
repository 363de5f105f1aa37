from __future__ import annotations

import pandas as pd

from gan_pipelines.figures.score_tables import Measured, lay_out_scores, list_keys

NAMES = {("dcgan", "r"): "dcgan", ("wgan", "s"): "wgan"}


def average(mean, metric="fid", *, variant="dcgan", weights="ema", generator="last", key=None, std=float("nan")):
    return {
        "variant": variant, "recipe": "r" if variant == "dcgan" else "s", "trained_epochs": 10, "generator": generator,
        "weights": weights, "metric": metric, "key": key or f"key of {metric}", "mean": mean, "std": std, "n": 3,
    }  # fmt: skip


def lay_out(*averages):
    return lay_out_scores(Measured({}, pd.DataFrame(averages)), NAMES)


def shown(row):
    return [(cell.last and cell.last.mean, cell.best and cell.best.mean) for cell in row.cells]


def test_each_recipe_has_one_row_and_the_lowest_fid_is_first():
    (table,) = lay_out(average(9.0), average(8.0, generator="best"), average(3.0, variant="wgan", std=0.25))
    assert [(row.name, row.epochs, row.seeds, shown(row)) for row in table.rows] == [
        ("wgan", 10, 3, [("3", None)]),
        ("dcgan", 10, 3, [("9", "8")]),
    ]
    assert table.rows[0].cells[0].last.std == "0.25"


def test_a_milestone_has_a_row_of_its_own_even_beside_a_training_of_as_many_epochs():
    (table,) = lay_out(average(9.0), average(8.0, generator="best"), average(7.0, generator="milestone"))
    assert [(row.name, row.epochs, shown(row)) for row in table.rows] == [
        ("dcgan, milestone", 10, [("7", None)]),
        ("dcgan", 10, [("9", "8")]),
    ]


def test_the_best_epoch_is_left_out_where_it_is_the_last():
    same = [average(9.0, generator=name, std=1.0) for name in ("last", "best")]
    other = [average(8.0, generator=name, variant="wgan", std=std) for name, std in (("last", 1.0), ("best", 2.0))]
    (table,) = lay_out(*same, *other)
    assert {row.name: shown(row) for row in table.rows} == {"dcgan": [("9", None)], "wgan": [("8", "8")]}


def test_a_score_that_a_recipe_lacks_is_empty_and_comes_last():
    (table,) = lay_out(average(0.5, "recall"), average(9.0, variant="wgan"), average(0.4, "recall", variant="wgan"))
    assert table.titles == ["FID ↓", "Recall ↑"]
    assert {row.name: shown(row) for row in table.rows} == {
        "wgan": [("9", None), ("0.4", None)],
        "dcgan": [(None, None), ("0.5", None)],
    }
    assert table.rows[0].name == "wgan"


def test_ema_weights_and_headline_metrics_have_the_first_table():
    tables = lay_out(
        average(1.0, weights="raw"), average(0.9, "density"), average(9.0), average(8.0, "is"),
        average(1.0, "class_kid"), average(7.0, "odd_score"),
    )  # fmt: skip
    assert [(table.weights, table.is_headline, table.titles) for table in tables] == [
        ("ema", True, ["FID ↓", "IS ↑"]),
        ("ema", False, ["Density ↑", "odd score"]),
        ("raw", True, ["FID ↓"]),
    ]


def test_two_keys_of_one_metric_have_columns_of_their_own():
    averages = average(8.0, "is", key="5" * 12), average(9.0, "is", key="a" * 12, variant="wgan")
    (table,) = lay_out(*averages)
    assert table.titles == ["IS ↑ [55555555]", "IS ↑ [aaaaaaaa]"]
    assert list_keys(Measured({}, pd.DataFrame(averages))) == {
        "IS ↑ [55555555]": "5" * 12,
        "IS ↑ [aaaaaaaa]": "a" * 12,
    }

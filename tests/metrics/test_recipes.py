from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gan_pipelines.metrics import compare_recipes

NAMES = {(variant, "r"): variant for variant in ("dcgan", "wgan", "sagan")}


def records(values, **identity):
    return [
        {
            "metric": "fid",
            "value": value,
            "comparability": {"metric": "fid", "samples": 2000, "reference_hash": "aa"},
            "identity": {
                "generator": "last", "weights": "ema", "trained_epochs": 9, "recipe": "r", "seed": seed,
                "sampling_seed": 0, **identity,
            },
        }
        for seed, value in values.items()
    ]  # fmt: skip


def test_the_ratio_and_its_interval_are_those_of_the_paired_t_test_of_logarithms():
    first, other = {0: 3.0, 1: 4.0, 2: 5.0, 3: 4.4}, {0: 9.0, 1: 14.0, 2: 13.0, 3: 17.0, 7: 1.0}
    (row,) = compare_recipes({"wgan": records(other), "dcgan": records(first)}, NAMES).to_dict("records")
    test = stats.ttest_rel(np.log([3, 4, 5, 4.4]), np.log([9, 14, 13, 17]))
    assert (row["variant"], row["other_variant"], row["seeds"], row["verdict"]) == ("dcgan", "wgan", 4, "better")
    assert row["ratio"] == pytest.approx(stats.gmean([3 / 9, 4 / 14, 5 / 13, 4.4 / 17]))
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx(tuple(np.exp(test.confidence_interval(0.95))))
    assert row["sentence"] == (
        "dcgan after 9 epochs against wgan after 9 epochs, ema weights: better. Its FID is 0.31 times as high "
        "(95% interval 0.24 to 0.41; 4 seeds, 2,000 samples)."
    )


def test_recipes_that_differ_by_chance_show_no_difference():
    scores = {"dcgan": records({0: 3.0, 1: 4.0, 2: 5.0}), "wgan": records({0: 4.0, 1: 3.9, 2: 5.5})}
    assert compare_recipes(scores, NAMES)["verdict"].tolist() == ["no difference shown"]


def test_three_common_seeds_are_needed():
    scores = {"dcgan": records({0: 3.0, 1: 4.0, 2: 5.0}), "wgan": records({0: 9.0, 1: 9.0, 3: 9.0})}
    table = compare_recipes(scores, NAMES)
    assert len(table) == 0
    assert "sentence" in table


def test_only_scores_of_the_last_epoch_with_equal_keys_and_weights_are_paired():
    values = {0: 3.0, 1: 4.0, 2: 5.0}
    others = [*records(values, generator="best"), *records(values, weights="raw")]
    other_key = [{**each, "comparability": {**each["comparability"], "samples": 10}} for each in records(values)]
    assert len(compare_recipes({"dcgan": records(values), "wgan": others, "sagan": other_key}, NAMES)) == 0


def test_failed_trainings_are_not_paired():
    values = {0: 3.0, 1: 4.0, 2: 5.0}
    failed = [*records({0: 9.0, 1: 9.5}), *records({2: 9.9}, failure="a loss became nan in epoch 3")]
    assert len(compare_recipes({"dcgan": records(values), "wgan": failed}, NAMES)) == 0


def test_trainings_of_a_recipe_for_other_numbers_of_epochs_are_not_mixed():
    values = {0: 10.1, 1: 10.4, 2: 11.1}
    short = records({seed: 10 * value for seed, value in values.items()}, trained_epochs=5)
    scores = {"dcgan": records({0: 10.0, 1: 10.5, 2: 11.0}), "wgan": [*short, *records(values)]}
    table = compare_recipes(scores, NAMES).set_index(["variant", "epochs", "other_variant", "other_epochs"])
    assert table["verdict"].to_dict() == {
        ("dcgan", 9, "wgan", 9): "no difference shown",
        ("dcgan", 9, "wgan", 5): "better",
        ("wgan", 9, "wgan", 5): "better",
    }
    assert table.loc["wgan", "sentence"].item().startswith("wgan after 9 epochs against wgan after 5 epochs, ema")


def test_every_pair_is_compared():
    values = {0: 3.0, 1: 4.0, 2: 5.0}
    table = compare_recipes({variant: records(values) for variant, _ in NAMES}, NAMES)
    assert len(table) == 3

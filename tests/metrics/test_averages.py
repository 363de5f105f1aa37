from __future__ import annotations

import pytest

from gan_pipelines.metrics import average_scores, group_by_measure, list_keys, list_runs, tabulate_scores


def record(value, seed=0, sampling_seed=0, *, metric="fid", weights="ema", generator="last", epoch=10, **key):
    return {
        "metric": metric,
        "value": value,
        "comparability": {"metric": metric, "samples": 2000, "reference_hash": "aa", **key},
        "identity": {
            "generator": generator,
            "weights": weights,
            "epoch": epoch,
            "trained_epochs": 10,
            "recipe": "r",
            "seed": seed,
            "sampling_seed": sampling_seed,
        },
    }


def test_training_seeds_are_averaged_and_the_sampling_seeds_of_one_training_count_as_one():
    records = [record(1.0, 0, 0), record(3.0, 0, 1), record(5.0, 1, 0), record(8.0, 2, 0)]
    (row,) = average_scores({"dcgan": records}).to_dict("records")
    assert row["mean"] == pytest.approx((2 + 5 + 8) / 3)
    assert row["std"] == pytest.approx(3.0)  # of 2, 5, 8
    assert (row["n"], row["sampling_seeds"], row["variant"]) == (3, 2, "dcgan")


def test_keys_that_differ_in_a_part_that_some_metrics_have_are_told_apart():
    records = [
        record(1.0),
        *(record(2.0, metric="is", is_splits=splits) for splits in (5, 10)),
        *(record(3.0, metric="copies", heldout_hash=digit * 64) for digit in "ab"),
    ]
    keys = list_keys(average_scores({"dcgan": records}))
    assert keys["is_splits"].fillna(0).tolist() == [0, 5, 10, 0, 0]
    assert keys["heldout_hash"].fillna("").tolist() == ["", "", "", "a" * 12, "b" * 12]
    assert list_keys(average_scores({"dcgan": records[:1]}))["metric"].tolist() == ["fid"]


def test_best_generators_of_several_seeds_are_averaged_even_if_their_epochs_differ():
    records = [record(value, seed, generator="best", epoch=10 - seed) for seed, value in enumerate([1.0, 2.0, 6.0])]
    (row,) = average_scores({"dcgan": records}).to_dict("records")
    assert (row["mean"], row["n"], row["trained_epochs"]) == (3.0, 3, 10)


def test_the_deviation_of_one_training_is_over_its_sampling_seeds_and_a_single_score_has_none():
    (row,) = average_scores({"dcgan": [record(1.0, 0, 0), record(3.0, 0, 1)]}).to_dict("records")
    assert (row["mean"], row["std"], row["n"]) == (2.0, pytest.approx(2**0.5), 1)
    table = tabulate_scores(average_scores({"dcgan": [record(1.5)]}))
    assert "1.5 (n=1)" in table.iloc[0].tolist()


def test_the_later_of_two_scores_of_the_same_samples_is_used():
    (row,) = average_scores({"dcgan": [record(1.0), record(2.0)]}).to_dict("records")
    assert (row["mean"], row["n"]) == (2.0, 1)


@pytest.mark.parametrize(
    "key",
    [{"samples": 5000}, {"reference_hash": "bb"}, {"extractor_weights": "cc"}, {"class_frequencies": "reference"}],
)
def test_scores_with_different_keys_are_not_averaged_and_have_separate_columns(key):
    averages = average_scores({"dcgan": [record(1.0)], "wgan": [record(4.0, 1, **key)]})
    assert sorted(averages["mean"]) == [1.0, 4.0]
    table = tabulate_scores(averages)
    columns = [column for column in table if column.startswith("fid")]
    assert len(columns) == 2
    assert table[columns].notna().to_numpy().sum() == 2


def test_scores_that_do_not_name_their_class_frequencies_have_uniform_ones():
    (row,) = average_scores({"dcgan": [record(1.0), record(4.0, 1, class_frequencies="uniform")]}).to_dict("records")
    assert (row["mean"], row["class_frequencies"]) == (2.5, "uniform")


@pytest.mark.parametrize("other", [{"weights": "raw"}, {"metric": "kid"}])
def test_different_weights_and_metrics_are_not_averaged(other):
    assert len(average_scores({"dcgan": [record(1.0), record(4.0, 1, **other)]})) == 2


def test_comparable_variants_share_a_column_and_scores_of_classes_are_left_out():
    records = [record(1.0, 0), record(2.0, 1), record(0.5, metric="class_kid", **{"class": "ace"})]
    averages = average_scores({"dcgan": records, "wgan": [record(4.0)]})
    assert set(averages["metric"]) == {"fid", "class_kid"}
    table = tabulate_scores(averages)
    (column,) = (column for column in table if column.startswith(("fid", "class")))
    assert column.startswith("fid_2k [")
    assert dict(zip(table["variant"], table[column], strict=True)) == {
        "dcgan": "1.5 ± 0.71 (n=2)",
        "wgan": "4 (n=1)",
    }


def test_scores_that_were_measured_alike_form_a_group_whatever_only_their_metric_asks_for():
    alike = [record(1.0), record(2.0, metric="is", is_splits=5), record(3.0, metric="copies", heldout_hash="h")]
    groups = group_by_measure(average_scores({"dcgan": [*alike, record(4.0, samples=50)]}))
    assert [(parts["samples"], group["mean"].tolist()) for parts, group in groups] == [(2000, [1, 2, 3]), (50, [4])]


def test_tables_of_no_scores_keep_their_columns():
    averages = average_scores({})
    assert {"variant", "recipe", "metric", "mean"} <= {*averages}
    assert group_by_measure(averages) == []
    assert len(tabulate_scores(averages)) == len(list_runs({})) == 0
    assert {"run", "variant", "flags"} <= {*list_runs({})}

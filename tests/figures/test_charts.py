from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_pipelines.figures.charts import MAX_POINTS, Scale, draw_chart, format_number


def values_of(line):
    return line.epochs, line.values


def test_points_are_where_their_values_are():
    chart = draw_chart("Loss", {"generator": [pd.Series([1.0, 3.0, 2.0], index=[5, 10, 20])]})
    (line,) = chart.lines
    points = [tuple(map(int, point.split(","))) for point in line.points.split()]
    assert [x for x, _ in points] == [250, 500, 1000]  # from epoch 0
    (_, low), (_, high), (_, middle) = points
    assert high < middle < low
    assert middle == pytest.approx((low + high) / 2, abs=1)
    assert values_of(line) == (["5", "10", "20"], ["1", "3", "2"])


def test_ticks_are_round_and_within_the_scale():
    chart = draw_chart("Loss", {"generator": [pd.Series([0.13, 0.94], index=[3, 50])]})
    assert [tick.text for tick in chart.x_ticks] == ["0", "10", "20", "30", "40", "50"]
    assert [tick.text for tick in chart.y_ticks] == ["0.2", "0.4", "0.6", "0.8"]
    assert all(0 <= tick.place <= 1 for tick in [*chart.x_ticks, *chart.y_ticks])


def test_fids_have_a_logarithmic_axis_unless_one_is_not_positive():
    def places(*values):
        (line,) = draw_chart("FID, 1k samples", {"dcgan": [pd.Series(values, index=range(len(values)))]}).lines
        return [int(point.split(",")[1]) for point in line.points.split()]

    one, ten, hundred = places(1.0, 10.0, 100.0)
    assert one - ten == pytest.approx(ten - hundred, abs=1)
    zero, middle, high = places(0.0, 50.0, 100.0)
    assert zero - middle == pytest.approx(middle - high, abs=1)


@pytest.mark.parametrize(("low", "high"), [(0.3, 40.0), (1e-3, 1e6), (11.0, 12.0)])
def test_logarithmic_ticks_are_few(low, high):
    assert len(Scale(np.array([low, high]), is_log=True).ticks()) <= 10


def test_infinite_and_missing_values_are_left_out_and_a_chart_without_any_is_none():
    lines = {"a": [pd.Series([1.0, np.inf, np.nan, 2.0])], "b": [pd.Series([np.nan])]}
    chart = draw_chart("Loss", lines)
    assert [values_of(line) for line in chart.lines] == [(["0", "3"], ["1", "2"])]
    assert draw_chart("Loss", {"b": lines["b"]}) is None


def test_a_single_value_has_a_chart():
    (line,) = draw_chart("Loss", {"a": [pd.Series([2.0], index=[1])]}).lines
    assert line.points == "1000,500"


def test_long_lines_are_thinned_to_their_ends():
    (line,) = draw_chart("Loss", {"a": [pd.Series(np.arange(5000.0))]}).lines
    assert len(line.epochs) == MAX_POINTS
    assert (line.epochs[0], line.epochs[-1]) == ("0", "4999")


def test_lines_of_a_label_look_alike_and_are_told_apart_by_their_names():
    series = pd.Series([1.0, 2.0])
    chart = draw_chart("Loss", {"a": [series.rename("seed 0"), series.rename("seed 1")], "b": [series]})
    assert [(line.label, line.detail, line.style) for line in chart.lines] == [
        ("a", "seed 0", 0), ("a", "seed 1", 0), ("b", "", 1),
    ]  # fmt: skip
    assert chart.legend == {"a": 0, "b": 1}


def test_numbers_have_three_digits_and_no_exponent_that_is_not_needed():
    assert list(map(format_number, (0.0, 0.31497, 12.94, 12345.6, -2.0))) == [
        "0",
        "0.315",
        "12.9",
        "12,346",
        "\N{MINUS SIGN}2",
    ]

import math

import plotly.graph_objects as go
import pytest

from lwlab.plots.scale import make_scale, values_of


def test_values_are_placed_linearly_between_the_two_pixels():
    scale = make_scale({"range": [0, 50]}, [], 300, 100)
    assert [scale.place(value) for value in (0, 25, 50)] == [300, 200, 100]
    assert math.isnan(scale.place(math.nan))


def test_marks_are_round_numbers_inside_the_range():
    pixels, texts = zip(*make_scale({"range": [0, 104]}, [], 0, 208).ticks(), strict=True)
    assert pixels == pytest.approx((0, 40, 80, 120, 160, 200))
    assert texts == ("0", "20", "40", "60", "80", "100")
    texts = [text for _, text in make_scale({"range": [0, 120_000]}, [], 0, 9).ticks()]
    assert texts == ["0", "20k", "40k", "60k", "80k", "100k", "120k"]


@pytest.mark.parametrize(
    ("high", "last"), [(2.4e6, "2M"), (3e9, "3G"), (3300, "3000"), (0.24, "0.2")]
)
def test_large_numbers_are_written_short(high, last):
    assert make_scale({"range": [0, high]}, [], 0, 9).ticks()[-1][1] == last


def test_categories_count_from_zero_in_the_order_that_the_axis_names():
    settings = {"type": "category", "categoryarray": ["a", "b"]}
    scale = make_scale(settings, ["b", "c"], 0, 300)
    assert scale.ticks() == [(50, "a"), (150, "b"), (250, "c")]


def test_an_axis_may_be_reversed_and_have_texts_of_its_own():
    settings = {"type": "category", "autorange": "reversed", "tickvals": ["b"], "ticktext": ["B"]}
    assert make_scale(settings, ["a", "b"], 0, 100).ticks() == [(25, "B")]
    del settings["ticktext"]
    assert make_scale(settings, ["a", "b"], 0, 100).ticks() == [(25, "b")]
    assert make_scale(settings, ["a"], 0, 100).ticks() == []  # no such category is drawn


def test_without_a_range_the_axis_takes_that_of_the_finite_values():
    scale = make_scale({}, [3, math.nan, math.inf, 5], 0, 1)
    assert (scale.low, scale.high) == (3, 5)
    constant, empty = make_scale({}, [7], 0, 1), make_scale({}, [], 0, 1)
    assert (constant.low, constant.high) == (6.5, 7.5)
    assert (empty.low, empty.high) == (0, 1)


def test_arrays_that_plotly_packs_are_read_again():
    import numpy as np

    trace = go.Figure(go.Bar(y=np.array([1.5, 2.5]))).to_dict()["data"][0]
    assert isinstance(trace["y"], dict)
    assert values_of(trace, "y") == [1.5, 2.5]
    assert values_of(trace, "x") == []


def test_a_value_that_is_missing_has_no_place():
    first, missing = values_of({"y": [1, None]}, "y")
    assert first == 1
    assert math.isnan(missing)

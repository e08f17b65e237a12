import math
import re

import plotly.graph_objects as go
import pytest
import torch

from lwlab.plots import bin_weights, describe
from lwlab.plots.quantization import grid_histogram, layer_error_bars
from lwlab.plots.snapshot import snapshot_png

FIVE = torch.tensor([-1.0, -0.4, 0.1, 0.3, 1.0])
BINS = bin_weights(FIVE, bins=4)
GRID = [-0.5, 0.0, 0.5]


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def traces(figure):
    return {trace.name: trace for trace in figure.data}


def ticks(figure):
    return [x for x in traces(figure)["grid"].x if x is not None][::2]


def test_bars_are_the_float_weights_and_what_is_clipped_stands_out():
    figure = grid_histogram(BINS, [GRID], clipped=FIVE.abs() > 0.5)
    assert list(traces(figure)["weights"].y) == [0, 1, 2, 0]
    assert list(traces(figure)["clipped"].y) == [1, 0, 0, 1]


def test_each_value_of_the_grid_is_a_tick_below_the_bars():
    figure = grid_histogram(BINS, [GRID])
    grid = traces(figure)["grid"]
    assert ticks(figure) == GRID
    assert list(grid.x) == [-0.5, -0.5, None, 0.0, 0.0, None, 0.5, 0.5, None]
    assert all(y is None or y < 0 for y in grid.y)
    low, _ = figure.layout.yaxis.range
    assert low < min(y for y in grid.y if y is not None)
    assert all(mark >= 0 for mark in figure.layout.yaxis.tickvals)


def test_each_scale_has_a_row_of_its_own():
    figure = grid_histogram(BINS, [GRID, [-0.1, 0.0, 0.1]])
    assert ticks(figure) == [*GRID, -0.1, 0.0, 0.1]
    y = traces(figure)["grid"].y
    assert max(y[9:11]) < min(y[0:2])


def test_a_browser_never_gets_more_than_300_ticks_unless_one_scale_has_them():
    many = [[float(row + value) for value in range(16)] for row in range(100)]
    figure = grid_histogram(BINS, many)
    assert len(ticks(figure)) == 18 * 16
    assert ticks(figure)[:16] == many[0]
    assert "100 scales of 16 values" in describe(figure)


def test_the_lines_are_the_first_shapes_low_before_high_and_can_be_dragged():
    figure = grid_histogram(BINS, [GRID], clip=(-0.5, 0.25))
    assert [(s.x0, s.x1) for s in figure.layout.shapes] == [(-0.5, -0.5), (0.25, 0.25)]
    assert figure.layout.meta["draggable"] is True


def test_without_a_grid_there_are_only_weights():
    figure = grid_histogram(BINS, [])
    assert list(traces(figure)) == ["weights", "clipped"]
    assert not figure.layout.shapes
    assert figure.layout.yaxis.range[0] == 0
    assert describe(figure) == "Histogram of 5 weights, all within plus or minus 1."


def test_the_sentence_says_all_of_it():
    figure = grid_histogram(BINS, [GRID], clip=(-0.5, 0.5), clipped=FIVE.abs() > 0.5)
    assert describe(figure) == (
        "Histogram of 5 weights, all within plus or minus 1; one scale of 3 values; the range "
        "goes from -0.5 to 0.5; 40.0 % are clipped."
    )


@pytest.mark.parametrize(
    ("top", "marks"),
    [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (37, [0, 10, 20, 30]), (9, [0, 2, 4, 6, 8])],
)
def test_counts_are_marked_at_round_numbers(top, marks):
    figure = grid_histogram(bin_weights(torch.full((top,), 0.5), bins=4), [GRID])
    assert list(figure.layout.yaxis.tickvals) == marks


def test_lines_in_the_wrong_order_are_refused():
    with says(ValueError, "clip must be (low, high), got 0.5 above -0.5."):
        grid_histogram(BINS, [GRID], clip=(0.5, -0.5))


def test_error_bars_are_decibels_with_their_words():
    figure = layer_error_bars(["a", "b", "c"], [20.0, math.inf, -3.0], ["20 dB", "float", "-3 dB"])
    assert list(figure.data[0].x) == [20.0, 60.0, 0.0]
    assert list(figure.data[0].text) == ["20 dB", "float", "-3 dB"]
    assert describe(figure) == "3 layers; the noisiest is c, -3 dB."


def test_error_bars_refuse_what_does_not_fit():
    sentence = "names, decibels and labels must be of one length above 0, got 1, 2 and 1."
    with says(ValueError, sentence):
        layer_error_bars(["a"], [1.0, 2.0], ["x"])
    with says(ValueError, "decibels must be a finite number, got nan."):
        layer_error_bars(["a"], [math.nan], ["x"])


def test_names_of_strangers_do_not_become_html():
    figure = layer_error_bars(["<b>a</b>"], [1.0], ["<i>"])
    assert figure.data[0].y[0] == "&lt;b&gt;a&lt;/b&gt;"
    assert figure.data[0].text[0] == "&lt;i&gt;"
    title = grid_histogram(BINS, [], title="<b>a</b>").layout.title.text
    assert title == "&lt;b&gt;a&lt;/b&gt;"


def test_plotly_takes_every_property_and_a_still_picture_is_drawn():
    figures = [
        grid_histogram(BINS, [GRID], clip=(-0.5, 0.5), clipped=FIVE.abs() > 0.5),
        layer_error_bars(["a"], [12.0], ["12 dB"]),
    ]
    for figure in figures:
        go.Figure(figure.to_dict())
    assert snapshot_png(figures).startswith(b"\x89PNG")

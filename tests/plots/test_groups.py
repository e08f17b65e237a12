import re
from types import SimpleNamespace

import pytest

from lwlab.plots import channel_groups, describe

LAYERS = ("conv1", "bn1", "conv2", "fc")
FIRST = SimpleNamespace(
    name="conv1", channels=16, kept=[0, 3, 5, 7], producers=("conv1",), followers=("bn1",),
    consumers=("conv2",),
)  # fmt: skip
SECOND = SimpleNamespace(
    name="conv2", channels=8, kept=[1, 2], producers=("conv2",), followers=(), consumers=("fc",)
)


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_each_mark_stands_in_its_layers_row_and_its_groups_column():
    traces = by_name(channel_groups(LAYERS, [FIRST, SECOND]))
    assert list(zip(traces["outputs cut"].x, traces["outputs cut"].y, strict=True)) == [
        (0, 0),
        (1, 2),
    ]
    assert list(zip(traces["passes them on"].x, traces["passes them on"].y, strict=True)) == [
        (0, 1)
    ]
    assert list(zip(traces["inputs cut"].x, traces["inputs cut"].y, strict=True)) == [
        (0, 2),
        (1, 3),
    ]
    assert traces["inputs cut"].text[0] == "conv2: inputs cut<br>4 of 16 channels stay"


def test_a_line_joins_the_first_and_the_last_layer_of_a_group():
    (links,) = (t for t in channel_groups(LAYERS, [FIRST, SECOND]).data if t.mode == "lines")
    assert list(links.x) == [0, 0, None, 1, 1, None]
    assert list(links.y) == [0, 2, None, 2, 3, None]


def test_rows_are_labelled_by_layer_the_first_on_top_and_columns_by_what_stays():
    figure = channel_groups(LAYERS, [FIRST, SECOND])
    assert list(figure.layout.yaxis.ticktext) == list(LAYERS)
    assert list(figure.layout.yaxis.range) == [3.5, -0.5]
    assert list(figure.layout.xaxis.ticktext) == ["4/16", "2/8"]
    assert describe(figure) == "2 groups of layers that are cut together; 6 of 24 channels stay."


def test_a_network_without_groups_is_still_a_figure():
    figure = channel_groups(LAYERS, [])
    assert describe(figure) == "0 groups of layers that are cut together; 0 of 0 channels stay."


def test_names_are_drawn_letter_by_letter():
    figure = channel_groups(["<b>me</b>"], [])
    assert figure.layout.yaxis.ticktext == ("&lt;b&gt;me&lt;/b&gt;",)


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=re.escape("layers must hold at least one name, got none.")
    ):
        channel_groups([], [])
    sentence = "layers must hold each layer of a group, got none 'fc'."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        channel_groups(LAYERS[:3], [FIRST, SECOND])

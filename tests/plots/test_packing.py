import json

import plotly.graph_objects as go
import pytest

from lwlab.plots import describe
from lwlab.plots.packing import PURPOSES, LayerBytes, Rung, byte_ladder, layer_bytes

DENSE = {"values": 4000, "positions": 0, "codebooks": 0, "header": 60, "other": 0}
SCALED = {"values": 500, "positions": 0, "codebooks": 40, "header": 60, "other": 3}
RUNGS = [Rung("dense", DENSE), Rung("+ half", None, "off"), Rung("+ scales", SCALED)]


def trace(figure, name):
    [found] = [t for t in figure.data if t.name == name]
    return found


def ends(figure):
    [found] = [t for t in figure.data if t.type == "scatter" and t.mode == "text"]
    return found


def test_each_purpose_is_a_trace_and_a_rung_without_parts_has_no_bar():
    figure = byte_ladder(RUNGS)
    assert [t.name for t in figure.data if t.type == "bar"] == list(PURPOSES)
    values = trace(figure, "values")
    assert (list(values.y), list(values.x)) == ([0, 2], [4000, 500])
    assert list(trace(figure, "header").x) == [60, 60]


def test_purposes_differ_in_color_and_in_pattern():
    bars = [t for t in byte_ladder(RUNGS).data if t.type == "bar"]
    assert len({t.marker.color for t in bars}) == len({t.marker.pattern.shape for t in bars}) == 5


def test_the_bytes_stand_behind_each_bar_and_a_note_where_there_is_none():
    shown = ends(byte_ladder(RUNGS, present=2))
    assert list(shown.x) == [4060, 0, 603]
    assert [text.strip() for text in shown.text] == ["4.06 kB", "off", "<b>603 B</b>"]


def test_the_present_rung_is_marked_in_its_name_too():
    names = byte_ladder(RUNGS, present=2).layout.yaxis.ticktext
    assert names[:2] == ("dense", "+ half")
    assert names[2] == "<b>\N{BLACK RIGHT-POINTING SMALL TRIANGLE} + scales</b>"


def test_hovering_tells_every_byte():
    figure = byte_ladder(RUNGS)
    assert trace(figure, "values").text[1] == "+ scales<br>values: 500 bytes"
    assert trace(figure, "codebooks").hovertemplate == "%{text}<extra></extra>"


def test_the_bound_is_a_line_over_all_rungs_that_tells_its_bytes():
    line = trace(byte_ladder(RUNGS, bound_bytes=1480.4), "Shannon bound")
    assert (list(line.x), list(line.y)) == ([1480.4, 1480.4], [-0.5, 2.5])
    assert line.text[0] == "Shannon bound: 1,480 bytes"
    assert not [t for t in byte_ladder(RUNGS).data if t.name == "Shannon bound"]


def test_the_axis_stands_still_while_bars_change_below_the_longest():
    reach = [
        byte_ladder([Rung("dense", {"values": n})], longest=9000).layout.xaxis.range[1]
        for n in (10, 8000)
    ]
    assert reach[0] == reach[1] > 9000


def test_the_sentence_tells_each_step_the_present_and_the_bound():
    assert describe(byte_ladder(RUNGS, bound_bytes=480, present=2)) == (
        "The file, coding by coding: dense 4.06 kB, + scales 603 B. "
        "The file on screen has 603 B. The Shannon bound is 480 B."
    )


def test_layers_stand_in_the_order_of_the_file_with_their_coding():
    figure = layer_bytes(
        [LayerBytes("conv1", SCALED, "weight: scaled, 603"), LayerBytes("fc", DENSE)]
    )
    assert figure.layout.yaxis.ticktext == ("conv1", "fc")
    assert trace(figure, "other").text[0] == "conv1<br>other: 3 bytes<br>weight: scaled, 603"
    assert describe(figure) == "2 bars, 4.66 kB in all; the longest is fc with 4.06 kB."


def test_of_many_layers_the_largest_are_shown_and_no_byte_is_lost():
    layers = [LayerBytes(f"layer{n}", {"values": 100 * (n + 1)}) for n in range(30)]
    figure = layer_bytes(layers)
    assert list(figure.layout.yaxis.ticktext) == [f"layer{n}" for n in range(19, 30)] + [
        "19 others"
    ]
    assert sum(trace(figure, "values").x) == sum(layer.total for layer in layers)
    assert "layer0, layer1" in trace(figure, "values").text[-1]


def test_names_by_a_stranger_stay_text():
    figure = layer_bytes([LayerBytes("<a href=x>%{y}", {"values": 1}, "<b>c")])
    assert "<a" not in figure.layout.yaxis.ticktext[0]
    assert trace(figure, "values").text[0] == (
        "&lt;a href=x&gt;&#37;{y}<br>values: 1 bytes<br>&lt;b&gt;c"
    )


@pytest.mark.parametrize(
    "figure",
    [byte_ladder(RUNGS, bound_bytes=3, present=0), layer_bytes([LayerBytes("a", SCALED)])],
    ids=["ladder", "layers"],
)
def test_plotly_takes_every_property(figure):
    go.Figure(json.loads(figure.to_json()))


def test_nothing_to_draw_is_an_error(says):
    with says(ValueError, "rungs must hold at least one with parts, got none."):
        byte_ladder([Rung("dense", None)])
    with says(ValueError, "layers must hold at least one layer, got none."):
        layer_bytes([])


@pytest.mark.parametrize("parts", [{"values": -1}, {"weights": 3}])
def test_parts_that_make_no_sense_are_an_error(says, parts):
    sentence = (
        "parts must be bytes of at least 0 by purpose, out of values, positions, codebooks, "
        f"header, other, got {parts!r}."
    )
    with says(ValueError, sentence):
        byte_ladder([Rung("dense", parts)])
    with says(ValueError, sentence):
        layer_bytes([LayerBytes("a", parts)])


def test_there_is_room_for_a_note_behind_the_longest_bar():
    plain = byte_ladder([Rung("start", DENSE)]).layout.xaxis.range[1]
    noted = byte_ladder([Rung("start", DENSE, "90.0 %"), Rung("next", None, "to come")])
    assert noted.layout.xaxis.range[1] > plain > 4060
    assert ends(noted).text[0].strip() == "4.06 kB, 90.0 %"

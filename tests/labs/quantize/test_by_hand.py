"""Ranges by hand: a drag of a line, the two fields, and ``lab.clip`` do the same."""

import re

import pytest

from lwlab.labs.quantize import QuantizeLab

LONG = 30


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def drag(lab, shape, x, figure=0):
    """Let a message of a drag arrive as if the page had sent it."""
    message = {"kind": "drag", "figure": figure, "shape": shape, "x": x}
    lab.live._handle_custom_msg(message, [])
    assert lab.wait(LONG)


@pytest.fixture
def lab(trained, digits):
    lab = QuantizeLab(
        trained, digits, granularity="tensor", rule="mean_squared", layer="fc1", symmetric=False
    )
    assert lab.wait(LONG)
    return lab


def test_a_drag_gives_that_layer_a_range_by_hand_and_leaves_the_others_their_rule(lab):
    before = lab.result
    low, high = before.view.lines
    drag(lab, 1, 0.5 * high)
    assert lab.error is None
    assert (lab.params.rule, lab.params.rest) == ("by_hand", "mean_squared")
    assert lab.controls["rule"].value == "by_hand"
    assert lab.result.view.lines == pytest.approx((low, 0.5 * high))
    assert lab.result.layers["fc1"] != before.layers["fc1"]
    for name in ("conv1", "conv2", "fc2"):
        assert lab.result.layers[name] == before.layers[name]
    assert lab.result.accuracy != before.accuracy or lab.result.view.clipped.any()


def test_on_a_symmetric_grid_the_other_line_follows(trained, digits):
    lab = QuantizeLab(trained, digits, layer="conv2")
    drag(lab, 0, -0.07)
    assert lab.params.clips == {"conv2": (-0.07, 0.07)}
    drag(lab, 1, -0.05)  # dragged across zero
    assert lab.result.view.lines == pytest.approx((-0.05, 0.05))


def test_a_line_that_is_dragged_across_zero_stops_there(lab):
    _low, high = lab.result.view.lines
    drag(lab, 0, 0.5 * high)
    assert lab.error is None
    assert lab.params.clips["fc1"] == pytest.approx((0.0, high))
    drag(lab, 1, -1.0)
    assert lab.error is None
    assert lab.params.clips["fc1"][1] > 0


def test_the_fields_show_the_lines_and_do_what_a_drag_does(lab):
    fields = lab.controls["clips"]
    lab.set(rule="by_hand")
    assert lab.wait(LONG)
    assert (fields.low.value, fields.high.value) == pytest.approx(lab.result.view.lines, rel=1e-3)
    fields.high.value = 0.1  # as a browser does
    assert lab.wait(LONG)
    assert lab.params.clips["fc1"] == (fields.low.value, 0.1)
    typed = lab.result
    lab.set(rule="mean_squared")
    drag(lab, 1, 0.1)
    assert lab.params.rule == "by_hand"
    lab.clip("fc1", fields.low.value, 0.1)
    assert lab.wait(LONG)
    assert lab.result.accuracy == typed.accuracy
    assert lab.result.layers == typed.layers


def test_a_field_switches_to_by_hand(lab):
    lab.controls["clips"].show("fc1", lab.result.view.lines)
    lab.controls["clips"].low.value = -0.1
    assert lab.wait(LONG)
    assert (lab.params.rule, lab.params.rest) == ("by_hand", "mean_squared")


def test_the_fields_stand_for_the_layer_that_is_shown(lab):
    lab.clip("fc1", -0.1, 0.1)
    lab.set(layer="conv1")
    assert lab.wait(LONG)
    lab.controls["clips"].high.value = 0.2
    assert lab.wait(LONG)
    assert set(lab.params.clips) == {"fc1", "conv1"}
    assert lab.params.clips["fc1"] == (-0.1, 0.1)


def test_choosing_by_hand_keeps_the_rule_of_the_other_layers(lab):
    before = lab.result.layers
    lab.controls["rule"].value = "by_hand"  # as a browser does
    assert lab.wait(LONG)
    assert lab.params.rest == "mean_squared"
    assert lab.result.layers == before
    assert "no lines of its own yet" in lab.live.screen.headline


def test_another_rule_puts_the_lines_by_and_by_hand_takes_them_up_again(lab):
    lab.clip("fc1", -0.1, 0.1)
    assert lab.wait(LONG)
    clipped = lab.result.layers["fc1"]
    lab.controls["rule"].value = "min_max"
    assert lab.wait(LONG)
    assert lab.result.layers["fc1"] != clipped
    lab.controls["rule"].value = "by_hand"
    assert lab.wait(LONG)
    assert lab.result.layers["fc1"] == clipped
    assert lab.params.rest == "min_max"


def test_drags_of_other_figures_and_of_layers_without_a_range_are_nothing(lab):
    wanted = lab.params
    drag(lab, 0, 0.1, figure=1)
    assert lab.params == wanted
    lab.set(num_bits="ternary")
    assert lab.wait(LONG)
    drag(lab, 0, -0.1)
    assert lab.params.rule == "mean_squared"


def test_ends_that_leave_no_range_are_one_sentence_and_nothing_moves(lab):
    sentence = "low end of layer 'fc1' must be a finite number of at most 0, got 0.1."
    with says(ValueError, sentence):
        lab.clip("fc1", 0.1, 0.2)
    assert lab.params.rule == lab.controls["rule"].value == "mean_squared"
    lab.controls["clips"].low.value = 0.1  # typed on a page
    assert lab.live.status == {"kind": "error", "text": sentence}
    with says(ValueError, "layer must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc9'."
              " Did you mean 'fc2'?"):  # fmt: skip
        lab.clip("fc9", -0.1, 0.2)

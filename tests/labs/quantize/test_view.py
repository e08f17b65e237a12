import re

import pytest
import torch

from lwlab import measure
from lwlab.labs.quantize import QuantizeLab

LONG = 30


def shown(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.live.screen


def test_classes_and_flips_are_those_of_the_network_on_screen(lab, trained, digits):
    shown(lab, num_bits=2, show="classes")
    damage, quantized = lab.result.damage, lab.quantized_model()
    assert list(damage.before) == measure.per_class_accuracy(trained, digits.validation)
    assert list(damage.after) == measure.per_class_accuracy(quantized, digits.validation)
    flips = measure.flipped(trained, quantized, digits.validation)
    assert torch.equal(damage.flips.broken, flips.broken)


def test_each_view_shows_its_own_and_the_move_follows(lab):
    screens = {v: shown(lab, show=v, num_bits=3).details for v in ("layers", "classes", "flips")}
    assert len(set(screens.values())) == 3
    assert "Signal to noise of each layer" in screens["layers"]
    assert "the line is in float" in screens["classes"]
    assert "right in float and wrong now" in screens["flips"]
    assert shown(lab, num_bits=2).details != screens["flips"]


def test_each_layer_has_its_noise_as_a_bar_and_in_words(lab):
    html = shown(lab, layer_bits={"conv1": 2, "fc1": 8}).details
    noise = lab.result.layers
    assert f"{noise['conv1'].decibels:.1f} dB, 2 bits" in html
    assert html.count("float, no noise") == 2
    widths = [float(w) for w in re.findall(r'lwlab-part-0" style="width:([\d.]+)%', html)][:4]
    wanted = [100 * min(1, noise[n].decibels / 60) for n in ("conv1", "conv2", "fc1", "fc2")]
    assert widths == pytest.approx(wanted, abs=0.006)


def test_the_histogram_has_the_grid_of_the_shown_layer_and_draggable_lines(lab):
    histogram, tradeoff = shown(lab, num_bits=3, granularity="tensor", layer="conv2").figures
    grid = next(trace for trace in histogram.data if trace.name == "grid")
    ticks = [x for x in grid.x if x is not None][::2]
    scale = float(lab.quantized_model().conv2.parametrizations.weight[0].scale)
    assert ticks == pytest.approx([code * scale for code in range(-4, 4)])
    assert [line.x0 for line in histogram.layout.shapes] == pytest.approx([-3 * scale, 3 * scale])
    assert histogram.layout.meta["draggable"] is True
    assert not (tradeoff.layout.meta.get("draggable"))


def test_a_layer_in_float_and_one_of_three_values_say_so(lab):
    assert "fc1 is in float." in shown(lab, num_bits="float").headline
    assert "Three values for each scale" in shown(lab, num_bits="ternary").headline
    assert "Two values for each scale" in shown(lab, num_bits=1).headline
    assert not lab.live.screen.figures[0].layout.shapes
    assert "% of fc1 clipped" in shown(lab, num_bits=2, rule="mean_squared").headline


def test_there_are_two_figures_and_a_move_is_one_message(lab):
    assert len(lab.live.screen.figures) == 2
    contents = []
    lab.live.observe(lambda change: contents.append(change["new"]["version"]), names="content")
    others = []
    for widget in (*lab.controls["clips"].children, lab.measure_button, lab.stop_button):
        widget.observe(others.append)
    shown(lab, num_bits=3)
    assert (len(contents), others) == (1, [])


def test_a_prediction_locks_the_lab_until_it_is_made(trained, digits):
    class Gate:
        answered = False

        def on_answer(self, callback):
            self.answer = callback

    gate = Gate()
    lab = QuantizeLab(trained, digits, after=gate)
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "locked"
    locked = [*lab.controls.values(), lab.test_button, lab.measure_button, lab.fill_button]
    assert all(widget.disabled for widget in locked)
    assert lab.controls["clips"].low.disabled
    gate.answer()
    assert lab.live.status["kind"] == "fresh"
    assert not any(widget.disabled for widget in locked)

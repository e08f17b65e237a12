import re

import pytest
import torch
from torch import nn

from lwlab import data, quantize
from lwlab.labs.quantize import QuantizeLab
from lwlab.quantize.mixed.sensitivity import scan_bits

LONG = 60


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def measured(lab):
    lab.measure_button.click()
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result.sensitivity


def html(lab):
    """Return the texts of the desk: the meter's and the strips', as the page gets them."""
    return [lab._desk._meter.value, *(strip.value for strip in lab._desk._strips.values())]


def test_a_slider_of_the_desk_quantizes_its_layer_alone_and_switches_to_by_layer(lab):
    lab._desk.choices.sliders["fc1"].value = 3  # as a browser does
    assert lab.wait(LONG)
    assert lab.params.num_bits == lab.controls["num_bits"].value == "by layer"
    assert quantize.current_bits(lab.quantized_model()) == {"fc1": 3}
    assert "num_bits=3, layers=['fc1']" in lab.live.screen.code
    assert lab.children[2].selected_index == 1  # the fold has opened


def test_set_leaves_the_layers_that_it_does_not_name(lab):
    lab.set(layer_bits={"fc1": 3})
    lab.set(layer_bits={"conv2": "ternary"})
    assert lab.wait(LONG)
    assert quantize.current_bits(lab.quantized_model()) == {"conv2": "ternary", "fc1": 3}
    lab.set(num_bits=4)
    assert lab.wait(LONG)
    assert set(quantize.current_bits(lab.quantized_model()).values()) == {4}


def test_a_first_choice_of_layers_is_given_to_the_lab(trained, digits):
    lab = QuantizeLab(trained, digits, num_bits="by layer", layer_bits={"fc1": 2})
    assert lab.wait(LONG)
    assert lab.params.layer_bits == {"conv1": "float", "conv2": "float", "fc1": 2, "fc2": "float"}
    with says(ValueError, "layer must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc9'."
              " Did you mean 'fc2'?"):  # fmt: skip
        QuantizeLab(trained, digits, layer_bits={"fc9": 2})


def test_a_width_that_is_none_is_one_sentence(lab):
    with says(
        ValueError, "num_bits must be one of 1, 'ternary', 2, 3, 4, 5, 6, 7, 8, 'float', got 9."
    ):
        lab.set(layer_bits={"fc1": 9})


def test_the_measured_sensitivity_is_that_of_the_scan_and_the_network_stays(lab, trained, digits):
    before = lab.result
    table = measured(lab)
    *_, reference = scan_bits(trained, digits.validation)
    assert table == reference
    assert lab.result.accuracy == before.accuracy
    assert lab.live.status["kind"] == "fresh"


def test_a_scan_has_the_scales_and_ranges_of_the_controls(trained, digits):
    lab = QuantizeLab(
        trained, digits, granularity="tensor", rule="percentile", percent=95.0, symmetric=False
    )
    *_, reference = scan_bits(
        trained,
        digits.validation,
        granularity=quantize.PerTensor(),
        range_rule=quantize.Percentile(95.0),
        symmetric=False,
    )
    assert measured(lab) == reference


def test_each_kind_of_scale_has_a_scan_of_its_own_and_keeps_it(lab, trained, digits):
    by_channel = measured(lab)
    lab.set(granularity="group", group_size=16)
    assert lab.wait(LONG)
    assert lab.result.sensitivity is None
    by_group = measured(lab)
    assert by_group != by_channel
    lab.set(granularity="channel", num_bits=2, activations=8, layer="conv1")
    assert lab.wait(LONG)
    assert lab.result.sensitivity == by_channel  # of none of these
    lab.clip("fc1", -0.1, 0.1)
    assert lab.wait(LONG)
    assert lab.result.sensitivity == by_channel  # lines are of a layer


def test_measuring_is_seen_live_stops_and_goes_on(lab, until):
    lab.measure_sensitivity()
    until(lab, lambda lab: lab.result.sensitivity is not None)
    assert re.match(r"Measuring the sensitivity: \d+ of 20\.", lab.live.status["text"])
    assert lab.measure_button.description == "Stop measuring"
    assert lab.stop_button.layout.visibility == "visible"
    lab.stop_button.click()
    assert lab.wait(LONG)
    assert lab.measure_button.description == "Measure sensitivity"
    assert lab.stop_button.layout.visibility == "hidden"
    done = lab.result.sensitivity.done
    assert done < 20
    lab.measure_button.click()
    until(lab, lambda lab: lab.result.sensitivity.done > done)
    lab.measure_button.click()
    assert lab.wait(LONG)
    assert measured(lab).done == 20


def test_a_slider_answers_while_it_measures_and_the_scan_goes_on(lab, until):
    lab.measure_sensitivity()
    until(lab, lambda lab: lab.result.sensitivity is not None)
    lab.set(num_bits=2)
    assert lab.wait(LONG)
    assert {noise.setting.width for noise in lab.result.layers.values()} == {2}
    assert lab.result.sensitivity.done == 20


def test_a_strip_shows_each_drop_and_marks_where_the_slider_stands(lab):
    lab.set(layer_bits={"conv2": 2, "fc2": 5})
    assert lab.wait(LONG)
    assert all("sensitivity not measured" in strip for strip in html(lab)[1:])
    table = measured(lab)
    _, conv1, conv2, _, fc2 = html(lab)
    assert "in float" in conv1
    assert f"{-100 * table.drop_at('conv2', 2):+.1f} points alone" in conv2
    assert "5 bits: not measured" in fc2
    assert re.findall(r"title=\"(\d) bits", conv2) == ["2", "3", "4", "6", "8"]
    heights = [float(h) for h in re.findall(r"height:([\d.]+)px;background", conv2)]
    drops = [max(0, table.drop_at("conv2", bits)) / table.baseline.value for bits in table.bits]
    assert heights == pytest.approx([24 * max(0.04, drop) for drop in drops], abs=0.06)
    assert (conv1.count("border-left"), conv2.count("border-left")) == (0, 1)


def test_the_meter_holds_the_real_file_against_the_budget(lab):
    lab.set(layer_bits={"fc1": 2}, budget=0.5)
    assert lab.wait(LONG)
    before, size = lab._bench.baseline.size_bytes, lab.result.size_bytes
    assert ("too many" in html(lab)[0]) == (size > 0.5 * before)
    weights = sum(w.numel() for w in lab._bench.quantizers.weights.values())
    assert f"{8 * size / weights:.2f} bits in the file for each weight" in html(lab)[0]
    lab.controls["budget"].value = 0.01
    assert lab.wait(LONG)
    assert "too many" in html(lab)[0]
    lab.controls["budget"].value = 1.0
    assert lab.wait(LONG)
    assert "to spare" in html(lab)[0]


def test_a_closed_fold_is_not_drawn_at_a_move_and_is_right_when_it_opens(lab):
    sent = []
    lab._desk._meter.observe(lambda change: sent.append(change["new"]), names="value")
    lab.set(num_bits=2)
    assert lab.wait(LONG)
    assert sent == []
    lab.children[2].selected_index = 1
    assert len(sent) == 1


@pytest.mark.parametrize("granularity", ["tensor", "channel", "group"])
def test_filling_for_the_budget_keeps_to_it(trained, digits, granularity):
    lab = QuantizeLab(trained, digits, granularity=granularity, group_size=16, budget=0.3)
    measured(lab)
    lab.fill_button.click()
    assert lab.wait(LONG)
    assert lab.error is None
    allowed = round(0.3 * lab._bench.baseline.size_bytes)
    assert lab.result.size_bytes <= allowed
    assert all(width in (2, 3, 4, 6, 8) for width in lab.params.layer_bits.values())
    assert lab.params.num_bits == "by layer"


def test_filling_before_measuring_is_one_sentence(lab):
    sentence = (
        "sensitivity must be measured for these scales before it can fill the sliders, got none. "
        "Press Measure sensitivity first."
    )
    lab.fill_button.click()
    assert lab.wait(LONG)
    assert lab.live.status == {"kind": "error", "text": sentence}
    with says(ValueError, sentence):
        lab.fill_for_budget()


def test_a_budget_out_of_reach_is_one_sentence(lab):
    measured(lab)
    lab.set(budget=0.01)
    assert lab.wait(LONG)
    lab.fill_button.click()
    assert lab.wait(LONG)
    assert lab.live.status["kind"] == "error"
    assert lab.live.status["text"].startswith("target_bytes must be at least")


def test_a_network_of_many_layers_has_a_desk_that_scrolls():
    inputs = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    dataset = data.from_arrays(inputs, (inputs[:, 0] > 0).long(), class_names=["no", "yes"])
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(40)), nn.Linear(6, 2))
    lab = QuantizeLab(model, dataset)
    lab.set(layer_bits={"17": 2})
    assert lab.wait(LONG)
    assert len(lab._desk.choices.sliders) == 41
    assert lab._desk.choices.layout.overflow == "auto"
    assert quantize.current_bits(lab.quantized_model()) == {"17": 2}

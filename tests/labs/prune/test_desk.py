import re

import pytest
import torch
from torch import nn

from lwlab import data, prune
from lwlab.labs import PruneLab
from lwlab.prune.sensitivity import scan_sensitivity

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


def test_a_slider_of_the_desk_prunes_its_layer_alone_and_switches_to_layers(lab, trained):
    lab._desk.choices.sliders["fc1"].value = 0.9  # as a browser does
    assert lab.wait(LONG)
    wanted = prune.choose_masks(trained, sparsity={"fc1": 0.9})
    assert lab.params.by == lab.controls["by"].value == "layers"
    assert torch.equal(lab.result.masks["fc1"], wanted["fc1"])
    assert all(lab.result.masks[name].all() for name in ("conv1", "conv2", "fc2"))
    assert "sparsity={'fc1': 0.9}" in lab.live.screen.code


def test_set_leaves_the_layers_that_it_does_not_name(lab):
    lab.set(layer_sparsities={"fc1": 0.9})
    lab.set(layer_sparsities={"conv2": 0.5})
    assert lab.wait(LONG)
    assert lab.params.by == "layers"
    assert lab.params.chosen_layers == {"conv2": 0.5, "fc1": 0.9}
    lab.set(by="sparsity")
    assert lab.wait(LONG)
    assert lab.result.sparsity == pytest.approx(0.5, abs=0.001)


def test_a_first_choice_of_layers_is_given_to_the_lab(trained, digits):
    lab = PruneLab(trained, digits, by="layers", layer_sparsities={"fc1": 0.8})
    assert lab.wait(LONG)
    assert lab.params.layer_sparsities == {"conv1": 0, "conv2": 0, "fc1": 0.8, "fc2": 0}
    with says(ValueError, "layer must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc9'."
              " Did you mean 'fc2'?"):  # fmt: skip
        PruneLab(trained, digits, layer_sparsities={"fc9": 0.8})


def test_the_measured_sensitivity_is_that_of_the_scan_and_the_cut_stays(lab, trained, digits):
    cut = lab.result
    table = measured(lab)
    *_, reference = scan_sensitivity(trained, digits.validation)
    assert table == reference
    assert lab.result.accuracy == cut.accuracy
    assert lab.live.status["kind"] == "fresh"


def test_each_criterion_has_a_scan_of_its_own_and_keeps_it(lab, trained, digits):
    by_magnitude = measured(lab)
    lab.set(criterion="activation_entropy")
    assert lab.wait(LONG)
    assert lab.result.sensitivity is None
    assert measured(lab).layers == ("conv1", "conv2", "fc1")
    lab.set(criterion="magnitude")
    assert lab.wait(LONG)
    assert lab.result.sensitivity == by_magnitude


def test_measuring_is_seen_live_stops_and_goes_on(lab, until):
    lab.measure_sensitivity()
    until(lab, lambda lab: lab.result.sensitivity is not None)
    assert re.match(r"Measuring the sensitivity: \d+ of 40\.", lab.live.status["text"])
    assert lab.measure_button.description == "Stop measuring"
    lab.measure_button.click()
    assert lab.wait(LONG)
    assert lab.measure_button.description == "Measure sensitivity"
    assert lab.live.status["kind"] == "fresh"
    done = lab.result.sensitivity.done
    assert done < 40
    assert measured(lab).done == 40


def test_a_slider_answers_while_it_measures_and_the_scan_goes_on(lab, until):
    lab.measure_sensitivity()
    until(lab, lambda lab: lab.result.sensitivity is not None)
    lab.set(sparsity=0.9)
    assert lab.wait(LONG)
    assert lab.result.sparsity == pytest.approx(0.9, abs=0.001)
    assert lab.result.sensitivity.done == 40


def test_a_strip_shows_each_drop_and_marks_where_the_slider_stands(lab):
    lab.set(layer_sparsities={"conv2": 0.7})
    assert lab.wait(LONG)
    assert all("sensitivity not measured" in strip for strip in html(lab)[1:])
    table = measured(lab)
    _, conv1, conv2, *_ = html(lab)
    assert "not pruned" in conv1
    assert f"{-100 * table.drop_at('conv2', 0.7):+.1f} points alone" in conv2
    assert re.findall(r"title=\"([\d.]+) % pruned", conv2) == [
        f"{100 * s:g}" for s in table.sparsities
    ]
    heights = [float(h) for h in re.findall(r"height:([\d.]+)px;background", conv2)]
    drops = [max(0, table.drop_at("conv2", s)) / table.baseline.value for s in table.sparsities]
    assert heights == pytest.approx([24 * max(0.04, drop) for drop in drops], abs=0.06)
    assert conv2.count("border-left") == 1
    assert conv1.count("border-left") == 0


def test_the_meter_holds_the_real_file_against_the_budget(lab):
    lab.set(layer_sparsities={"fc1": 0.9}, budget=0.5)
    assert lab.wait(LONG)
    before = lab._bench.baseline.size_bytes
    meter = html(lab)[0]
    kept = sum(int(mask.sum()) for mask in lab.result.masks.values())
    assert f"weights kept {kept:,} of " in meter
    assert ("too many" in meter) == (lab.result.size_bytes > 0.5 * before)
    lab.controls["budget"].value = 0.01
    assert lab.wait(LONG)
    assert "too many" in html(lab)[0]
    lab.controls["budget"].value = 1.0
    assert lab.wait(LONG)
    assert "to spare" in html(lab)[0]


def test_a_closed_fold_is_not_drawn_at_a_move_and_is_right_when_it_opens(lab):
    sent = []
    lab._desk._meter.observe(lambda change: sent.append(change["new"]), names="value")
    lab.set(sparsity=0.8)
    assert lab.wait(LONG)
    assert sent == []
    lab.children[2].selected_index = 1
    assert len(sent) == 1
    kept = sum(int(mask.sum()) for mask in lab.result.masks.values())
    assert f"weights kept {kept:,} of " in sent[0]


def test_filling_for_the_budget_keeps_to_it(lab, trained):
    table = measured(lab)
    lab.set(budget=0.3)
    assert lab.wait(LONG)
    lab.fill_button.click()
    assert lab.wait(LONG)
    assert lab.error is None
    allowed = round(0.3 * lab._bench.baseline.size_bytes)
    assert lab.params.layer_sparsities == prune.allocate(table, trained, target_bytes=allowed)
    assert lab.result.size_bytes <= allowed


def test_filling_before_measuring_is_one_sentence(lab):
    sentence = (
        "sensitivity must be measured by criterion 'magnitude' before it can fill the sliders, "
        "got none. Press Measure sensitivity first."
    )
    lab.fill_button.click()
    assert lab.live.status == {"kind": "error", "text": sentence}
    with says(ValueError, sentence):
        lab.fill_for_budget()


def test_an_entropy_leaves_the_last_layer_of_the_desk_out_in_one_sentence(lab):
    lab.set(layer_sparsities={"fc2": 0.5}, criterion="weight_entropy")
    assert lab.wait(LONG)
    assert str(lab.error) == (
        "sparsity of layer 'fc2' must be 0 for criterion 'weight_entropy', which leaves the last "
        "layer out."
    )
    lab.set(layer_sparsities={"fc2": 0.0, "fc1": 0.5})
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.masks["fc2"].all()


def test_a_network_of_many_layers_has_a_desk_that_scrolls():
    inputs = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    dataset = data.from_arrays(inputs, (inputs[:, 0] > 0).long(), class_names=["no", "yes"])
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(40)), nn.Linear(6, 2))
    lab = PruneLab(model, dataset)
    lab.set(layer_sparsities={"17": 0.5})
    assert lab.wait(LONG)
    assert len(lab._desk.choices.sliders) == 41
    assert lab._desk.choices.layout.overflow == "auto"
    assert not lab.result.masks["17"].all()

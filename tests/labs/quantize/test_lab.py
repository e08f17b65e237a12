import base64
import copy
import random
import re

import pytest
import torch
from torch import nn

from lwlab import data, measure, packing, prune, quantize
from lwlab.labs.quantize import QuantizeLab
from lwlab.labs.quantize.settings import RULES_BY_NAME
from lwlab.models import SimpleCNN, compressible_layers

LONG = 30


def settle(lab, **changes):
    lab.set(**changes)
    assert lab.wait(LONG)
    assert lab.error is None
    return lab.result


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def random_settings(count):
    chooser = random.Random(5)
    for _ in range(count):
        yield {
            "num_bits": chooser.choice([1, "ternary", 2, 3, 4, 5, 6, 7, 8, "float"]),
            "granularity": chooser.choice(["tensor", "channel", "group"]),
            "group_size": chooser.choice([8, 32]),
            "rule": chooser.choice(["min_max", "percentile", "mean_squared"]),
            "symmetric": chooser.choice([True, False]),
        }


def test_for_15_random_settings_the_result_is_that_of_the_file_loaded_back(lab, digits, tmp_path):
    for setting in random_settings(15):
        result = settle(lab, **setting)
        path = tmp_path / "quantized.lwlab"
        written = packing.save(lab.quantized_model(), path)
        loaded = SimpleCNN(width=8, hidden=32, seed=99)
        packing.load_(loaded, path)
        assert result.accuracy == measure.accuracy(loaded, digits.validation)
        assert result.size_bytes == written == path.stat().st_size


def test_the_constructor_shows_a_first_result_at_the_given_setting(trained, digits):
    lab = QuantizeLab(trained, digits, num_bits=3, granularity="tensor", layer="conv2")
    assert (lab.params.num_bits, lab.controls["num_bits"].value) == (3, 3)
    assert lab.result.view.name == "conv2"
    assert {n.setting.width for n in lab.result.layers.values()} == {3}
    assert lab.result.view.scales == 1


def test_the_network_itself_is_left_alone(trained, digits):
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    lab = QuantizeLab(trained, digits)
    settle(lab, num_bits=2, activations=4)
    after = trained.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_the_network_is_what_prepare_makes(lab, trained):
    result = settle(lab, num_bits=3, granularity="channel", rule="mean_squared")
    quantize.prepare_(trained, num_bits=3, range_rule=quantize.MeanSquared())
    mine = lab.quantized_model()
    for layer, wanted in zip(compressible_layers(mine), compressible_layers(trained), strict=True):
        assert torch.equal(layer.weight, wanted.weight)
    assert quantize.current_bits(mine) == quantize.current_bits(trained)
    assert result.layers["fc1"].scales == 32


def test_the_first_layer_shown_is_the_largest(lab, trained):
    counts = {layer.name: layer.weight.numel() for layer in compressible_layers(trained)}
    assert lab.params.layer == lab.result.view.name == max(counts, key=counts.get)


WIRING = [
    ({}, "num_bits", 2),
    ({"num_bits": 3}, "granularity", "tensor"),
    ({"num_bits": 3, "granularity": "group"}, "group_size", 8),
    ({"num_bits": 2}, "rule", "mean_squared"),
    ({"num_bits": 2, "rule": "percentile"}, "percent", 90.0),
    ({"num_bits": 3}, "symmetric", False),
    ({"num_bits": 4}, "clips", {"fc1": (-0.1, 0.1)}),
    ({"num_bits": 2, "rule": "by_hand", "clips": {"fc1": (-0.1, 0.1)}, "layer": "conv2"}, "rest",
     "mean_squared"),
    ({}, "layer_bits", {"conv1": 8, "conv2": 2, "fc1": 3, "fc2": "float"}),
]  # fmt: skip


@pytest.mark.parametrize(("start", "control", "value"), WIRING)
def test_each_control_changes_the_result_the_figures_and_the_code(
    trained, digits, start, control, value
):
    lab = QuantizeLab(trained, digits, **start)
    assert lab.wait(LONG)
    result, screen = lab.result, lab.live.screen
    lab.controls[control].value = value  # as a browser does
    assert lab.wait(LONG)
    assert lab.error is None
    assert [n.decibels for n in lab.result.layers.values()] != [
        n.decibels for n in result.layers.values()
    ]
    for before, after in zip(screen.figures, lab.live.screen.figures, strict=True):
        assert before.to_json() != after.to_json()
    assert lab.live.screen.headline != screen.headline
    assert lab.live.screen.details != screen.details
    assert lab.live.screen.code != screen.code


def test_the_rounding_changes_the_noise_and_not_the_grid(lab):
    before, screen = lab.result, lab.live.screen
    lab.controls["rounding"].value = "stochastic"
    assert lab.wait(LONG)
    assert lab.result.view.grids == before.view.grids
    for name, noise in lab.result.layers.items():
        # The mean squared error of rounding by chance is about twice that of the nearest.
        assert 1.5 < before.layers[name].decibels - noise.decibels < 4.5
    assert lab.live.screen.details != screen.details
    assert lab.live.screen.code != screen.code
    weights = {layer.name: layer.weight for layer in compressible_layers(lab.quantized_model())}
    moved = (weights["fc1"] - lab._bench.quantizers.weights["fc1"]).abs()
    scale = quantize.quantized_weights(lab.quantized_model())["fc1"].scale[:, None]
    assert bool((moved < 1.0001 * scale).all())
    assert bool((moved > 0.51 * scale).any())


def test_activations_change_the_result_and_the_code(lab):
    size, code = lab.result.size_bytes, lab.live.screen.code
    lab.controls["activations"].value = 2
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.size_bytes > size  # their scales are in the file
    assert lab.result.accuracy.value < 0.8
    assert lab.live.screen.code != code


def test_the_layer_changes_the_histogram_and_nothing_that_is_measured(lab):
    before, screen = lab.result, lab.live.screen
    lab.controls["layer"].value = "conv1"
    assert lab.wait(LONG)
    assert (lab.result.accuracy, lab.result.size_bytes) == (before.accuracy, before.size_bytes)
    assert lab.result.view.name == "conv1"
    assert lab.live.screen.figures[0].to_json() != screen.figures[0].to_json()


def test_these_tests_cover_every_control(lab):
    # Here, or in test_desk and test_views.
    elsewhere = {"rounding", "activations", "layer", "budget", "show"}
    assert set(lab.controls) == {control for _, control, _ in WIRING} | elsewhere


@pytest.mark.parametrize("rule", RULES_BY_NAME)
def test_each_rule_gives_the_ranges_of_the_observer_of_its_name(lab, trained, rule):
    observer = {
        "min_max": quantize.MinMax(),
        "percentile": quantize.Percentile(95.0),
        "mean_squared": quantize.MeanSquared(),
        "entropy": quantize.Entropy(),
        "by_hand": quantize.MinMax(),  # until a line is moved
    }[rule]
    settle(lab, rule=rule, percent=95.0, granularity="tensor")
    quantize.prepare_(trained, num_bits=4, granularity=quantize.PerTensor(), range_rule=observer)
    wanted, found = (
        quantize.quantized_weights(trained),
        quantize.quantized_weights(lab.quantized_model()),
    )
    assert all(torch.equal(found[name].scale, wanted[name].scale) for name in wanted)


def test_only_what_counts_for_the_chosen_way_is_in_sight(lab):
    names = ("group_size", "percent", "clips", "rest")

    def shown():
        return {name for name in names if lab.controls[name].layout.display != "none"}

    assert shown() == set()
    settle(lab, granularity="group")
    assert shown() == {"group_size"}
    settle(lab, granularity="channel", rule="percentile")
    assert shown() == {"percent"}
    settle(lab, rule="by_hand")
    assert shown() == {"clips", "rest", "percent"}  # the other layers keep the percentile
    settle(lab, rest="min_max")
    assert shown() == {"clips", "rest"}


def test_scales_are_found_anew_only_for_layers_whose_setting_is_new(lab, monkeypatch):
    from lwlab.labs.quantize import layers

    found = []
    original = layers._find
    monkeypatch.setattr(
        layers, "_find", lambda weight, setting: found.append(setting) or original(weight, setting)
    )
    settle(lab, layer_bits={"conv1": 8, "conv2": 8, "fc1": 8, "fc2": 8})
    assert len(found) == 4
    settle(lab, layer_bits={"fc1": 3})
    assert len(found) == 5
    settle(lab, layer_bits={"fc1": 8})
    settle(lab, layer="conv1", show="classes")
    settle(lab, rounding="nearest", percent=99.0)
    assert len(found) == 5


def test_test_is_scored_by_its_button_only_and_the_next_move_takes_it_away(lab, digits):
    assert lab.result.test_accuracy is None
    settle(lab, num_bits=3)
    assert "on test" not in lab.live.screen.headline
    lab.test_button.click()
    assert lab.wait(LONG)
    assert lab.result.test_accuracy == measure.accuracy(lab.quantized_model(), digits.test)
    assert "on test" in lab.live.screen.headline
    assert len(lab.history) == 2  # the test's figure was added to a try, it is not another one
    assert settle(lab, num_bits=4).test_accuracy is None


def test_a_long_validation_split_arrives_in_parts_with_a_label(trained_once, digits):
    many = data.Split(
        digits.validation.inputs.repeat(7, 1, 1, 1), digits.validation.targets.repeat(7)
    )
    dataset = data.Dataset("many", digits.train, many, digits.test, digits.class_names)
    lab = QuantizeLab(trained_once, dataset)
    assert lab.wait(LONG)
    parts = list(lab.compute(lab.params))
    assert [part.result.accuracy.total for part in parts] == [500, 2000, 2100]
    assert parts[0].estimate == (
        "Estimate from 500 of 2,100 validation examples; the rest is being scored."
    )
    assert parts[-1].estimate == ""
    assert len(lab.history) == 1  # an estimate is no try


class Undecided(nn.Module):
    """A network whose way depends on its inputs: nothing can draw its graph."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        x = x.flatten(1)
        return self.layer(x if x.sum() > 0 else -x)


def test_a_network_that_cannot_be_traced_shows_its_sentence_and_its_weights_go_on(digits):
    lab = QuantizeLab(Undecided(), digits)
    assert settle(lab, num_bits=2).size_bytes
    lab.controls["activations"].value = 8
    assert lab.wait(LONG)
    assert "prepare_(model" in str(lab.error)
    assert lab.live.status == {"kind": "error", "text": str(lab.error)}
    assert lab.params.activations == "float"  # what is on screen
    settle(lab, activations="float")


def test_activations_are_calibrated_on_the_training_data(lab, digits):
    from lwlab.quantize.activations.preparing import prepare_activations, quantized_activations

    settle(lab, num_bits="float", activations=4)
    mine = quantized_activations(lab.quantized_model())
    float_network = copy.deepcopy(lab._bench.quantizers.model)
    wanted = quantized_activations(
        prepare_activations(float_network, digits.train.take(256), num_bits=4)
    )
    assert {n: float(q.scale) for n, q in mine.items()} == {
        n: float(q.scale) for n, q in wanted.items()
    }


def test_a_pruned_network_stays_pruned_under_the_quantizers(trained, digits):
    prune.mask_model_(trained, sparsity=0.7)
    before = measure.sparsity(trained)
    lab = QuantizeLab(trained, digits, num_bits=4)
    assert measure.sparsity(lab.quantized_model()) >= before


def test_quantizers_that_a_network_brings_are_taken_off_a_copy(trained, digits, run_shown_code):
    plain = QuantizeLab(copy.deepcopy(trained), digits, num_bits=6)
    quantize.prepare_(trained, num_bits=2)
    lab = QuantizeLab(trained, digits, num_bits=6)
    assert lab.result.accuracy == plain.result.accuracy
    assert lab.result.size_bytes == plain.result.size_bytes
    assert set(quantize.current_bits(trained).values()) == {2}
    assert run_shown_code(lab)[0] == str(lab.result.accuracy)


def test_a_misspelt_first_value_is_refused(trained, digits):
    with pytest.raises(TypeError, match=r"got 'num_bit'\. Did you mean 'num_bits'\?$"):
        QuantizeLab(trained, digits, num_bit=5)
    with says(ValueError, "layer must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc9'."
              " Did you mean 'fc2'?"):  # fmt: skip
        QuantizeLab(trained, digits, layer="fc9")


def test_settings_out_of_range_are_refused(lab):
    with says(ValueError, "num_bits must be one of 1, 'ternary', 2, 3, 4, 5, 6, 7, 8, 'float', "
              "'by layer', got 33."):  # fmt: skip
        lab.set(num_bits=33)
    assert lab.controls["num_bits"].value == 4


def test_a_network_without_layers_to_quantize_is_refused_with_a_sentence(digits):
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(64))
    with pytest.raises(ValueError, match=r"^model must have a convolution or linear layer"):
        QuantizeLab(model, digits)


def test_a_users_own_module_and_tensors():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 6, generator=generator)
    dataset = data.from_arrays(inputs, (inputs[:, 0] > 0).long(), class_names=["<b>no</b>", "yes"])
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    lab = QuantizeLab(model, dataset, num_bits=2, granularity="group", show="classes")
    assert lab.wait(LONG)
    assert lab.result.accuracy.total == len(dataset.validation)
    assert set(lab.result.layers) == {"0", "3"}
    assert "<b>no" not in lab.live.screen.details


def test_the_lab_brings_a_picture_for_pages_without_a_kernel(lab):
    picture = lab._repr_mimebundle_()[0]
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")


def test_the_quantized_model_trains_on_and_is_independent_of_the_lab(lab):
    before = settle(lab, num_bits=3, rule="mean_squared").layers["fc1"].decibels
    model = lab.quantized_model()
    with torch.no_grad():
        model.fc1.parametrizations.weight.original.mul_(10)
    model.train()
    assert model.fc1.weight.abs().max() > 1  # the scales follow
    settle(lab, num_bits=4)
    assert settle(lab, num_bits=3).layers["fc1"].decibels == before

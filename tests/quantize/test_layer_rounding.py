"""AdaRound for whole models: better outputs, the same grid, masks, what is skipped or refused."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.models import SimpleCNN, seeded
from lwlab.prune.masking import bake_, current_masks, mask_model_
from lwlab.quantize.layer_rounding import round_layers_
from lwlab.quantize.preparing import current_bits, prepare_, quantized_weights
from lwlab.quantize.tensor import TERNARY


def images(count=60, shape=(1, 8, 8)):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def small(**settings):
    net = SimpleCNN((1, 8, 8), width=4, hidden=16).eval()
    prepare_(net, **{"num_bits": 3, **settings})
    return net


def same_state(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize("symmetric", [True, False])
def test_codes_move_by_one_at_the_most_and_the_outputs_come_closer(symmetric):
    plain, net = SimpleCNN((1, 8, 8), width=4, hidden=16).eval(), small(symmetric=symmetric)
    nearest = quantized_weights(net)
    with torch.no_grad():
        wanted, before = plain(images()), net(images())
    rounding = round_layers_(net, images(), steps=150)
    learned = quantized_weights(net)
    for name, old in nearest.items():
        new = learned[name]
        moved = new.codes - old.codes
        assert int(moved.abs().max()) <= 1
        assert rounding.changed[name] == float((moved != 0).double().mean())
        assert torch.equal(new.scale, old.scale)
        assert torch.equal(new.zero_point, old.zero_point)
        assert torch.equal(new.dequantize(), net.get_submodule(name).weight)
    assert list(rounding.changed) == ["conv1", "conv2", "fc1", "fc2"]
    assert rounding.changed["fc1"] > 0.01
    assert current_bits(net) == dict.fromkeys(nearest, 3)
    with torch.no_grad():
        after = net(images())
    assert float((after - wanted).square().mean()) < float((before - wanted).square().mean())


def test_each_layer_is_rounded_for_what_it_is_fed_with_in_the_rounded_model():
    net = small()
    before = copy.deepcopy(net)
    round_layers_(net, images(), steps=150)
    with torch.no_grad():
        fed = F.relu(F.max_pool2d(net.conv1(images()), 2))  # by the layer that was rounded first
        weight = before.conv2.parametrizations.weight.original

        def error(layer):
            return F.conv2d(fed, layer.weight - weight, padding=1).square().mean()

        assert error(net.conv2) < error(before.conv2)


def test_the_same_seed_gives_the_same_codes_and_the_global_stream_is_left_alone():
    one, two, other = (small(layers=["fc1"]) for _ in range(3))
    state = torch.get_rng_state()
    round_layers_(one, images(), steps=150)
    assert torch.equal(torch.get_rng_state(), state)
    round_layers_(two, images(), steps=150)
    round_layers_(other, images(), steps=150, seed=1)
    assert same_state(one, two)
    assert not same_state(one, other)


def test_pruned_weights_stay_zero_and_the_mask_stays_on():
    net = SimpleCNN((1, 8, 8), width=4, hidden=16)
    masks = mask_model_(net, sparsity=0.6)
    prepare_(net, num_bits=3)
    round_layers_(net, images(), steps=60)
    for name, quantized in quantized_weights(net).items():
        assert int(quantized.codes[~masks[name]].abs().max()) == 0
        assert torch.equal(current_masks(net)[name], masks[name])
    assert net.training


def test_exact_zeros_without_a_mask_stay_too_and_no_output_counts_on_their_rounding():
    with seeded(0):
        net = nn.Sequential(nn.Linear(60, 10))
    mask_model_(net, sparsity=0.5)
    bake_(net)
    zeros, plain = net[0].weight == 0, copy.deepcopy(net)
    prepare_(net, num_bits=3)
    nearest, inputs = copy.deepcopy(net), images(200, (60,))
    assert round_layers_(net, inputs, steps=300).changed["0"] > 0

    @torch.no_grad()
    def error(model):
        return float((model(inputs) - plain(inputs)).square().mean())

    assert int(quantized_weights(net)["0"].codes[zeros].abs().max()) == 0
    assert error(net) < 0.7 * error(nearest)


def test_what_has_codes_by_another_rule_is_skipped_by_name():
    net = SimpleCNN((1, 8, 8), width=4, hidden=16)
    prepare_(net, num_bits={"conv1": TERNARY, "conv2": [2] * 4 + [4] * 4, "fc1": 3, "fc2": 1})
    before = copy.deepcopy(net.state_dict())
    rounding = round_layers_(net, images(), steps=40)
    assert list(rounding.changed) == ["fc1"]
    assert rounding.skipped == ("conv1", "conv2", "fc2")
    changed = [n for n, t in net.state_dict().items() if not torch.equal(before[n], t)]
    assert changed == ["fc1.parametrizations.weight.original"]


class Twice(nn.Module):
    """One circular convolution, called twice."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")

    def forward(self, x):
        return self.conv(self.conv(x).relu())


def test_a_layer_that_is_called_twice_is_rounded_for_both_and_padding_modes_are_kept():
    net = Twice()
    prepare_(net, num_bits=2)
    assert list(round_layers_(net, images(8, (2, 6, 6)), steps=60).changed) == ["conv"]


@pytest.mark.parametrize(
    ("calibration", "settings", "sentence"),
    [
        (
            images()[:0], {},
            ("calibration must hold at least one input, got shape (0, 1, 8, 8). Try "
             "dataset.train.take(500)."),
        ),
        (
            images(1) * torch.nan, {},
            ("calibration must be finite, got 64 NaN or infinite of 64 values (the first at index "
             "(0, 0, 0, 0))."),
        ),
        (
            images(1) * 3e38, {},
            "input of layer 'conv2' must be finite, got",
        ),
        (
            images(2, (3, 8, 8)), {},
            "model must accept inputs of shape (2, 3, 8, 8) and torch.float32, got RuntimeError",
        ),
        (images(), {"steps": 0}, "steps must be a whole number of at least 1, got 0."),
        (images(), {"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0."),
        (images(), {"seed": -1}, "seed must be a whole number of at least 0, got -1."),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_changes_nothing(calibration, settings, sentence):
    net = small()
    with torch.no_grad():
        net.conv1.parametrizations.weight.original.mul_(4)
        net.conv1.parametrizations.weight[0].scale.mul_(4)
    before = copy.deepcopy(net)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        round_layers_(net, calibration, **settings)
    assert same_state(net, before)


def test_a_model_in_float_is_refused():
    sentence = (
        "model must have layers with quantized weights, got none. Try prepare_(model, num_bits=8) "
        "first."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        round_layers_(SimpleCNN((1, 8, 8)), images())

"""The recipe in one call: what it is made of, that it works, what it refuses."""

import copy
import dataclasses
import re

import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.measure import accuracy
from lwlab.models import ResNet8, SimpleCNN
from lwlab.quantize.activations.preparing import (
    activation_bits,
    prepare_activations,
    quantized_activations,
)
from lwlab.quantize.bias_correction import correct_biases_
from lwlab.quantize.equalizing import equalize
from lwlab.quantize.folding import fold_batchnorm
from lwlab.quantize.granularity import PerTensor
from lwlab.quantize.layer_rounding import round_layers_
from lwlab.quantize.observers import MeanSquared, Percentile
from lwlab.quantize.post_training import quantize_post_training
from lwlab.quantize.preparing import current_bits, prepare_
from lwlab.train import fit


def images(count=30, shape=(1, 8, 8)):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def same_state(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_it_is_the_steps_of_the_recipe_in_their_order():
    net = ResNet8((1, 8, 8), width=4).eval()
    before = copy.deepcopy(net)
    found = quantize_post_training(
        net,
        images(),
        num_bits=4,
        activation_bits=6,
        granularity=PerTensor(),
        range_rule=MeanSquared(20),
        activation_rule=Percentile(99),
        equalized=True,
        corrected=True,
        rounding="adaptive",
        rounding_steps=20,
        seed=3,
    )
    flat = equalize(fold_batchnorm(net))
    expected = copy.deepcopy(flat)
    prepare_(expected, num_bits=4, granularity=PerTensor(), range_rule=MeanSquared(20))
    round_layers_(expected, images(), steps=20, seed=3)
    expected = prepare_activations(expected, images(), num_bits=6, range_rule=Percentile(99))
    correct_biases_(expected, flat, images())
    assert same_state(found, expected)
    assert same_state(net, before)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in found.modules())


def test_the_plain_recipe_rounds_to_nearest_at_8_bits():
    net = SimpleCNN((1, 8, 8), width=4, hidden=16).eval()
    found = quantize_post_training(net, images())
    assert set(current_bits(found).values()) == set(activation_bits(found).values()) == {8}
    with torch.no_grad():
        assert torch.allclose(found(images()), net(images()), atol=0.01)
    weights_only = quantize_post_training(net, images(), activation_bits=None)
    assert quantized_activations(weights_only) == {}
    mixed = quantize_post_training(net, images(), num_bits={"conv2": 2}, activation_bits={"fc1": 3})
    assert (current_bits(mixed), activation_bits(mixed)) == ({"conv2": 2}, {"fc1": 3})


def test_a_trained_network_keeps_its_accuracy_at_8_bits_and_the_best_recipe_most_at_3():
    digits = data.load("digits")
    small = dataclasses.replace(digits, train=digits.train.take(600))
    net = ResNet8(small.input_shape, width=4)
    for _ in fit(net, small, epochs=4):
        pass
    base = accuracy(net, small.validation).value
    eight = quantize_post_training(net, small.train.take(100))
    assert accuracy(eight, small.validation).value >= base - 0.01
    logits = net.eval()(small.validation.inputs).detach()

    def error(**settings):
        model = quantize_post_training(net, small.train.take(100), num_bits=3, **settings).eval()
        return float((model(small.validation.inputs) - logits).detach().square().mean())

    best = error(range_rule=MeanSquared(), corrected=True, rounding="adaptive", rounding_steps=100)
    assert best < 0.5 * error()


class Undecided(nn.Module):
    """Takes other steps for other values."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("net", "calibration", "settings", "sentence"),
    [
        (
            SimpleCNN((1, 8, 8)), images(), {"rounding": "adaptiv"},
            ("rounding must be one of 'nearest' or 'adaptive', got 'adaptiv'. Did you mean "
            "'adaptive'?"),
        ),
        (
            SimpleCNN((1, 8, 8)), images()[:0], {},
            ("calibration must hold at least one input, got shape (0, 1, 8, 8). Try "
            "dataset.train.take(500)."),
        ),
        (
            SimpleCNN((1, 8, 8)), images(), {"num_bits": 33},
            "num_bits must be a whole number from 1 to 8, got 33.",
        ),
        (
            Undecided(), torch.ones(2, 2), {},
            ("model must be one that torch.fx can follow, got Undecided: TraceError: symbolically "
            "traced variables cannot be used as inputs to control flow. Weights alone can be "
            "quantized without a graph: prepare_(model, ...)."),
        ),
        (
            nn.Sequential(nn.ReLU()), torch.ones(2, 2), {},
            ("model must have a convolution or linear layer to quantize, got Sequential without "
            "one."),
        ),
    ],
)  # fmt: skip
def test_bad_input_is_told(net, calibration, settings, sentence):
    before = copy.deepcopy(net)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        quantize_post_training(net, calibration, **settings)
    assert same_state(net, before)


def test_a_model_is_quantized_once():
    found = quantize_post_training(SimpleCNN((1, 8, 8)), images())
    sentence = (
        "model must be in float to be folded, got 'conv1' quantized. Do this first, then quantize."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        quantize_post_training(found, images())

"""Bad input through every door: one sentence each, and the model as it was."""

import copy
import re

import pytest
import torch
from torch import nn

from lwlab import quantize
from lwlab.models import SimpleCNN

NO_WIDTH = "num_bits must be a whole number from 1 to 8, got {}."
EMPTY = (
    "calibration must hold at least one input, got shape (0, 1, 8, 8). Try dataset.train.take(500)."
)
NAN = (
    "calibration must be finite, got 256 NaN or infinite of 256 values "
    "(the first at index (0, 0, 0, 0))."
)
INFINITE = (
    "weight of layer 'fc1' must be finite, got 1 NaN or infinite of 512 values "
    "(the first at index (0, 0))."
)
SEVENS = (
    "granularity does not fit layer 'conv1': size must divide the 9 values of a channel of shape "
    "(4, 1, 3, 3), got 7. Try 9."
)
NO_LAYER = "model must have a convolution or linear layer to quantize, got Recurrent without one."
TWICE = (
    "model must have its activations in float, got one whose activations are quantized already. "
    "Prepare the model that it was made from."
)
PREPARED = (
    "model must be in float to be folded, got 'conv1' quantized. Do this first, then quantize."
)
NO_ACTIVATIONS = (
    "model must have quantized activations, got SimpleCNN without. "
    "Try prepare_activations(model, dataset.train.take(500))."
)
NO_WEIGHTS = (
    "model must have quantized weights, got SimpleCNN with all weights in float. "
    "Try prepare_(model, num_bits=8) before prepare_activations."
)
IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 4)

    def forward(self, x):
        return self.lstm(x)[0]


def plain():
    return SimpleCNN(width=4, hidden=16)


def with_infinity():
    model = plain()
    model.fc1.weight.data[0, 0] = torch.inf
    return model


def prepared():
    model = plain()
    quantize.prepare_(model, num_bits=4)
    return model


def activations(model, images=IMAGES, **settings):
    return quantize.prepare_activations(model, images, **settings)


def whole_recipe(model, images=IMAGES, **settings):
    return quantize.quantize_post_training(model, images, **settings)


def empty():
    return torch.zeros(0, 1, 8, 8)


def broken():
    return torch.full((4, 1, 8, 8), torch.nan)


CASES = {
    "no bits": (plain, lambda m: quantize.prepare_(m, num_bits=0), NO_WIDTH.format(0)),
    "33 bits": (plain, lambda m: quantize.prepare_(m, num_bits=33), NO_WIDTH.format(33)),
    "33 bits, activations": (plain, lambda m: activations(m, num_bits=33), NO_WIDTH.format(33)),
    "33 bits, recipe": (plain, lambda m: whole_recipe(m, num_bits=33), NO_WIDTH.format(33)),
    "33 bits, activations of the recipe": (
        plain,
        lambda m: whole_recipe(m, activation_bits=33),
        NO_WIDTH.format(33),
    ),
    "nothing to calibrate with": (plain, lambda m: activations(m, empty()), EMPTY),
    "nothing to calibrate the recipe with": (plain, lambda m: whole_recipe(m, empty()), EMPTY),
    "NaN to calibrate with": (plain, lambda m: activations(m, broken()), NAN),
    "NaN to calibrate the recipe with": (plain, lambda m: whole_recipe(m, broken()), NAN),
    "an infinite weight": (
        with_infinity,
        lambda m: quantize.prepare_(m, num_bits=4),
        INFINITE,
    ),
    "an infinite weight, recipe": (with_infinity, whole_recipe, INFINITE),
    "an infinite weight, shared": (
        with_infinity,
        lambda m: quantize.share_weights_(m, num_clusters=4),
        INFINITE,
    ),
    "groups that do not divide": (
        plain,
        lambda m: quantize.prepare_(m, num_bits=4, granularity=quantize.PerGroup(7)),
        SEVENS,
    ),
    "groups that do not divide, recipe": (
        plain,
        lambda m: whole_recipe(m, granularity=quantize.PerGroup(7)),
        SEVENS,
    ),
    "a layer without weights of its kind": (
        Recurrent,
        lambda m: quantize.prepare_(m, num_bits=4),
        NO_LAYER,
    ),
    "quantized activations, again": (lambda: activations(plain()), activations, TWICE),
    "prepared, recipe": (prepared, whole_recipe, PREPARED),
    "integers of a float model": (plain, quantize.convert, NO_ACTIVATIONS),
    "integers of float activations": (prepared, quantize.convert, NO_ACTIVATIONS),
    "integers of float weights": (lambda: activations(plain()), quantize.convert, NO_WEIGHTS),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_sentence_and_the_model_is_as_it_was(name):
    build, action, sentence = CASES[name]
    model = build()
    before, kinds = copy.deepcopy(model.state_dict()), [type(m) for m in model.modules()]
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        action(model)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert [type(m) for m in model.modules()] == kinds


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_constant_tensors_are_fine(bits):
    model = plain()
    nn.init.zeros_(model.fc1.weight)
    nn.init.constant_(model.fc2.weight, 0.25)
    expected = model.eval()(torch.zeros(4, 1, 8, 8))
    quantized = whole_recipe(model, torch.zeros(4, 1, 8, 8), num_bits=bits)
    assert torch.allclose(quantized(torch.zeros(4, 1, 8, 8)), expected, atol=1e-2)
    assert quantize.convert(quantized)(torch.zeros(4, 1, 8, 8)).isfinite().all()


def test_a_group_of_one_value_holds_it_exactly():
    model = plain()
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    quantize.prepare_(model, num_bits=4, granularity=quantize.PerGroup(1))
    for name in ("conv1", "conv2", "fc1", "fc2"):
        weight = getattr(model, name).weight
        assert torch.allclose(weight, weights[f"{name}.weight"], rtol=1e-6, atol=0)


def test_a_model_prepared_again_gets_back_what_fewer_bits_lost():
    model = plain()
    quantize.prepare_(model, num_bits=2)
    quantize.prepare_(model, num_bits=8)
    once = plain()
    quantize.prepare_(once, num_bits=8)
    assert torch.equal(model.fc1.weight, once.fc1.weight)

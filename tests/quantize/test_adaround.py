"""Learned rounding: its formulas by hand, beside nearest, and beside all possible roundings."""

import itertools
import math
import re

import pytest
import torch
import torch.nn.functional as F

from lwlab.quantize.adaround import learn_rounding, rectified_sigmoid, rounding_penalty
from lwlab.quantize.affine import dequantize, quantize
from lwlab.quantize.granularity import PerChannel
from lwlab.quantize.tensor import quantize_tensor

INT4 = {"quant_min": -8, "quant_max": 7}
STEPS = 300


def problem(seed, outputs, inputs, samples=256):
    """A linear layer whose inputs are correlated, as real ones are."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=generator) * 0.3
    mixing = torch.randn(inputs, inputs, generator=generator)
    return weight, torch.randn(samples, inputs, generator=generator) @ mixing


def error(codes, weight, x, scale, forward=F.linear, zero_point=0):
    rounded = dequantize(codes, scale, zero_point)
    return (forward(x, rounded) - forward(x, weight)).square().mean().item()


def test_the_rectified_sigmoid_and_the_penalty_by_hand():
    v = torch.tensor([-5.0, 0.0, 5.0, math.log(3)])
    assert rectified_sigmoid(v).tolist() == pytest.approx([0.0, 0.5, 1.0, 0.8])
    assert rounding_penalty(torch.tensor([0.0, 1.0]), 2).item() == 0.0
    assert rounding_penalty(torch.tensor([0.5, 0.5]), 20).item() == 1.0
    assert rounding_penalty(torch.tensor([0.75]), 2).item() == pytest.approx(0.75)


@pytest.mark.parametrize("seed", range(4))
def test_the_outputs_change_less_than_with_nearest(seed):
    weight, x = problem(seed, 12, 24)
    nearest = quantize(weight, 0.25, 0, **INT4)
    learned = learn_rounding(weight, x, F.linear, scale=0.25, **INT4, steps=STEPS)
    assert error(learned, weight, x, 0.25) < 0.8 * error(nearest, weight, x, 0.25)
    # also for inputs that it has not seen, of the same kind
    _, more = problem(seed, 12, 24, samples=512)
    assert error(learned, weight, more[256:], 0.25) < 0.9 * error(nearest, weight, more[256:], 0.25)


@pytest.mark.parametrize("symmetric", [True, False])
def test_every_code_is_one_of_the_two_neighbours(symmetric):
    weight, x = problem(7, 6, 20)
    quantized = quantize_tensor(weight, 4, PerChannel(), symmetric=symmetric)
    scale, zero_point = quantized.scale[:, None], quantized.zero_point[:, None]
    ends = {"quant_min": quantized.quant_min, "quant_max": quantized.quant_max}
    codes = learn_rounding(
        weight, x, F.linear, scale=scale, zero_point=zero_point, **ends, steps=STEPS
    )
    down = torch.floor(weight / scale) + zero_point
    assert codes.dtype == torch.int32
    assert bool(
        ((codes == down.clamp(*ends.values())) | (codes == (down + 1).clamp(*ends.values()))).all()
    )
    assert not torch.equal(codes, quantized.codes)
    nearest = error(quantized.codes, weight, x, scale, zero_point=zero_point)
    assert error(codes, weight, x, scale, zero_point=zero_point) < nearest


def test_the_best_of_all_roundings_is_reached_where_nearest_misses_it():
    weight, x = problem(5, 1, 8)
    down = torch.floor(weight / 0.25)
    choices = [(down + torch.tensor([ups])).int() for ups in itertools.product([0, 1], repeat=8)]
    best = min(choices, key=lambda codes: error(codes, weight, x, 0.25))
    learned = learn_rounding(weight, x, F.linear, scale=0.25, **INT4)
    assert not torch.equal(best, quantize(weight, 0.25, 0, **INT4))
    assert torch.equal(learned, best)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_among_the_best_of_all_roundings(seed):
    weight, x = problem(seed, 1, 8)
    down = torch.floor(weight / 0.25)
    choices = [(down + torch.tensor([ups])).int() for ups in itertools.product([0, 1], repeat=8)]
    errors = sorted(error(codes, weight, x, 0.25) for codes in choices)
    learned = learn_rounding(weight, x, F.linear, scale=0.25, **INT4, steps=STEPS)
    assert error(learned, weight, x, 0.25) <= errors[12] * 1.0001  # the best 5 % of 256


def test_a_convolution_and_its_activation():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 3, 3, 3, generator=generator) * 0.2
    smooth = F.avg_pool2d(torch.randn(64, 3, 10, 10, generator=generator), 3, stride=1)

    def forward(x, w):
        return F.relu(F.conv2d(x, w, padding=1))

    quantized = quantize_tensor(weight, 3, PerChannel())
    scale = quantized.granularity.spread(quantized.scale, weight.shape)
    ends = {"quant_min": -4, "quant_max": 3}
    learned = learn_rounding(weight, smooth, forward, scale=scale, **ends, steps=STEPS)
    nearest = error(quantized.codes, weight, smooth, scale, forward)
    assert error(learned, weight, smooth, scale, forward) < 0.8 * nearest


def test_where_nothing_can_be_gained_it_is_nearest():
    weight = torch.tensor([[0.5, -1.0, 0.25]])
    codes = learn_rounding(weight, torch.randn(8, 3), F.linear, scale=0.25, **INT4, steps=5)
    assert codes.tolist() == [[2, -4, 1]]
    codes = learn_rounding(weight, torch.zeros(8, 3), F.linear, scale=0.3, **INT4, steps=5)
    assert torch.equal(codes, quantize(weight, 0.3, 0, **INT4))


def test_the_seed_decides_and_the_surroundings_are_left_alone():
    weight, x = problem(1, 8, 16)
    parameter, before = torch.nn.Parameter(weight), torch.get_rng_state()
    first, again = (
        learn_rounding(parameter, x, F.linear, scale=0.25, **INT4, steps=50) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert parameter.grad is None
    assert torch.equal(parameter, weight)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"inputs": torch.zeros(0, 3)}, "inputs must hold at least one sample, got shape (0, 3)."),
        ({"inputs": [1.0]}, "inputs must hold at least one sample, got [1.0]."),
        (
            {"inputs": torch.full((1, 3), math.nan)},
            "inputs must be finite, got 3 NaN or infinite of 3 values (the first at index (0, 0)).",
        ),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0."),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0."),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0, got 0.0."),
        ({"strength": -1}, "strength must be a finite number above 0, got -1.0."),
        ({"scale": 0.0}, "scale must be finite and above 0, got 0.0."),
    ],
)
def test_bad_input_gets_one_sentence(changes, sentence):
    arguments = {"inputs": torch.ones(2, 3), "scale": 0.25, **INT4, **changes}
    inputs = arguments.pop("inputs")
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        learn_rounding(torch.ones(1, 3), inputs, F.linear, **arguments)

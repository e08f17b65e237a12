"""Exercises of lesson 05: a weight on a grid, the code of zero, a scale per channel, the bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task
from lwlab.quantize import Grid, choose_qparams, quantize_tensor

__all__ = ["QUANTIZE_TASKS"]


def round_weights(weight: Tensor, num_bits: int) -> Tensor:
    """Return the weight on a symmetric grid of ``num_bits`` bits, one scale for all."""
    return quantize_tensor(weight, num_bits).dequantize()


def zero_point(low: float, high: float, num_bits: int) -> int:
    """Return the code of 0 on an asymmetric grid with codes from 0."""
    grid = Grid(num_bits, symmetric=False)
    return int(choose_qparams(torch.tensor(low), torch.tensor(high), grid)[1])


def channel_scales(weight: Tensor, num_bits: int) -> Tensor:
    """Return one symmetric scale for each output channel."""
    return weight.flatten(1).abs().amax(dim=1) / (2 ** (num_bits - 1) - 1)


def quantized_bytes(num_weights: int, num_bits: int, num_scales: int) -> int:
    """Return the bytes of bit-packed codes and their float32 scales."""
    return -(-num_weights * num_bits // 8) + 4 * num_scales


def _rounded(weight: Tensor, scale: Tensor | float, low: int, high: int) -> Tensor:
    return torch.clamp(torch.round(weight / scale), low, high) * scale


def _largest(weight: Tensor) -> Tensor:
    return weight.abs().max()


_ROUND_WEIGHTS = Task(
    name="quantize.round_weights",
    statement=(
        "round_weights(weight, num_bits) moves each weight to the nearest value of a symmetric "
        "grid and returns these values, floats of the same shape. The largest absolute weight "
        "becomes the code 2**(num_bits - 1) - 1."
    ),
    reference=round_weights,
    cases=(
        Case("4 bits, the largest is negative", (torch.tensor([0.1, -1.4, 0.75, 0.5]), 4)),
        Case("2 bits: -1, 0 and 1 times the scale", (torch.tensor([0.9, -0.2, -0.6, 0.3]), 2)),
        Case("a matrix, 3 bits", (torch.tensor([[0.5, -1.5], [0.2, -0.7]]), 3)),
        Case("8 bits", (torch.tensor([-0.031, 2.54, 1.0, 0.0]), 8)),
    ),
    mistakes=(
        Mistake(
            "This is the recipe that circulates: no sign is left, no scale comes from the weights, "
            "and nearly everything became 0. Which distance do two neighbours on the grid have?",
            lambda weight, num_bits: weight.abs().div(2**num_bits).round(),
        ),
        Mistake(
            "The signs are gone: the grid has codes on both sides of 0.",
            lambda weight, num_bits: round_weights(weight, num_bits).abs(),
        ),
        Mistake(
            "These are codes, whole numbers. Times the scale they are weights again.",
            lambda weight, num_bits: torch.round(
                weight / (_largest(weight) / (2 ** (num_bits - 1) - 1))
            ),
        ),
        Mistake(
            "The scale takes the largest weight itself; its absolute value is asked for.",
            lambda weight, num_bits: _rounded(
                weight,
                weight.max() / (2 ** (num_bits - 1) - 1),
                -(2 ** (num_bits - 1)),
                2 ** (num_bits - 1) - 1,
            ),
        ),
        Mistake(
            "The range was divided by 2**num_bits: half of that many codes lie on each side of 0, "
            "and 0 itself is one.",
            lambda weight, num_bits: _rounded(
                weight,
                2 * _largest(weight) / 2**num_bits,
                -(2 ** (num_bits - 1)),
                2 ** (num_bits - 1) - 1,
            ),
        ),
        Mistake(
            "The codes were cut off, not rounded: every weight moved towards 0.",
            lambda weight, num_bits: (
                torch.trunc(weight / (_largest(weight) / (2 ** (num_bits - 1) - 1)))
                * (_largest(weight) / (2 ** (num_bits - 1) - 1))
            ),
        ),
    ),
    hints=(
        "How far apart are two neighbours (the scale)? Which code is nearest? And back.",
        "scale = max |w| / (2**(b-1) - 1);  code = round(w / scale);  w ~ code * scale",
        (
            "def round_weights(weight, num_bits):\n"
            "    quant_max = 2 ** (num_bits - 1) - 1\n"
            "    scale = weight.abs().max() / quant_max\n"
            "    return torch.round(weight / scale) * scale"
        ),
    ),
)

_ZERO_POINT = Task(
    name="quantize.zero_point",
    statement=(
        "zero_point(low, high, num_bits) returns the code that means 0 when the codes "
        "0 ... 2**num_bits - 1 span the range from low (at most 0) to high (at least 0)."
    ),
    reference=zero_point,
    cases=(
        Case("a third of the range lies below 0, 4 bits", (-1.0, 2.0, 4)),
        Case("after a ReLU nothing does", (0.0, 6.0, 8)),
        Case("more below than above, 8 bits", (-3.0, 1.0, 8)),
        Case("all of it below", (-2.0, 0.0, 3)),
    ),
    mistakes=(
        Mistake(
            "This is the code of 0 on a symmetric grid, the middle. Here it depends on the range.",
            lambda low, high, num_bits: 2 ** (num_bits - 1),
        ),
        Mistake(
            "The zero point came out negative: it counts the steps from low *up* to 0.",
            lambda low, high, num_bits: -zero_point(low, high, num_bits),
        ),
        Mistake(
            "Counted from the wrong end: the code 0 stands at low.",
            lambda low, high, num_bits: (2**num_bits - 1) - zero_point(low, high, num_bits),
        ),
        Mistake(
            "The right place, but not on a code: round it, or 0 is not on the grid.",
            lambda low, high, num_bits: -low / ((high - low) / (2**num_bits - 1)),
        ),
        Mistake(
            "This is the scale; the number of steps from low to 0 is asked for.",
            lambda low, high, num_bits: (high - low) / (2**num_bits - 1),
        ),
    ),
    hints=(
        "How many steps is 0 away from low, the place of code 0?",
        "scale = (high - low) / (2**b - 1);  zero_point = round(-low / scale)",
        (
            "def zero_point(low, high, num_bits):\n"
            "    scale = (high - low) / (2**num_bits - 1)\n"
            "    return round(-low / scale)"
        ),
    ),
)

_FILTERS = torch.tensor([[[0.5, -1.5], [0.2, 0.1]], [[0.07, 0.02], [-0.01, 0.0]]])

_CHANNEL_SCALES = Task(
    name="quantize.channel_scales",
    statement=(
        "channel_scales(weight, num_bits) returns one symmetric scale for each output channel "
        "(dimension 0) of a weight of any rank: a tensor with a number for each channel."
    ),
    reference=channel_scales,
    cases=(
        Case("two filters, 4 bits", (_FILTERS, 4)),
        Case("a linear layer, 8 bits", (torch.tensor([[1.0, -2.0], [0.1, 0.05], [0.0, 3.0]]), 8)),
        Case("2 bits", (_FILTERS.flatten(1), 2)),
    ),
    mistakes=(
        Mistake(
            "This is one scale for all channels.",
            lambda weight, num_bits: (weight.abs().max() / (2 ** (num_bits - 1) - 1)).reshape(1),
        ),
        Mistake(
            "All channels got the scale of the whole tensor.",
            lambda weight, num_bits: (weight.abs().max() / (2 ** (num_bits - 1) - 1)).expand(
                len(weight)
            ),
        ),
        Mistake(
            "These are scales of the inputs: the channels of the output lie along dimension 0.",
            lambda weight, num_bits: channel_scales(weight.transpose(0, 1), num_bits),
        ),
        Mistake(
            "The largest weight of each channel was taken with its sign.",
            lambda weight, num_bits: weight.flatten(1).amax(dim=1) / (2 ** (num_bits - 1) - 1),
        ),
        Mistake(
            "The largest code of b bits with a sign is 2**(b-1) - 1.",
            lambda weight, num_bits: weight.flatten(1).abs().amax(dim=1) / (2**num_bits - 1),
        ),
    ),
    hints=(
        "Make every channel one row. Then it is the recipe of before, along dimension 1.",
        "scale of channel c = max |w[c]| / (2**(b-1) - 1)",
        (
            "def channel_scales(weight, num_bits):\n"
            "    rows = weight.flatten(1)\n"
            "    return rows.abs().amax(dim=1) / (2 ** (num_bits - 1) - 1)"
        ),
    ),
)

_QUANTIZED_BYTES = Task(
    name="quantize.quantized_bytes",
    statement=(
        "quantized_bytes(num_weights, num_bits, num_scales) returns the bytes of a quantized "
        "weight: its codes lie bit by bit behind each other, each scale is a float32."
    ),
    reference=quantized_bytes,
    cases=(
        Case("1,000 weights of 4 bits, one scale", (1000, 4, 1)),
        Case("3 weights of 3 bits do not fill their bytes", (3, 3, 1)),
        Case("a scale for each of 64 channels", (18432, 2, 64)),
        Case("a scale for each 32 of 4,096 weights", (4096, 4, 128)),
    ),
    mistakes=(
        Mistake(
            "The scales were forgotten: without them the codes mean nothing.",
            lambda num_weights, num_bits, num_scales: -(-num_weights * num_bits // 8),
        ),
        Mistake(
            "A file has whole bytes: a begun one counts.",
            lambda num_weights, num_bits, num_scales: num_weights * num_bits // 8 + 4 * num_scales,
        ),
        Mistake(
            "These are bits; a byte has eight.",
            lambda num_weights, num_bits, num_scales: num_weights * num_bits + 32 * num_scales,
        ),
        Mistake(
            "A byte a code: that holds for 8 bits only.",
            lambda num_weights, num_bits, num_scales: num_weights + 4 * num_scales,
        ),
    ),
    hints=(
        "Bits of all codes, in whole bytes; and four bytes for each scale.",
        "ceil(n * b / 8) + 4 * scales",
        (
            "def quantized_bytes(num_weights, num_bits, num_scales):\n"
            "    code_bytes = (num_weights * num_bits + 7) // 8\n"
            "    return code_bytes + 4 * num_scales"
        ),
    ),
)

QUANTIZE_TASKS = (_ROUND_WEIGHTS, _ZERO_POINT, _CHANNEL_SCALES, _QUANTIZED_BYTES)

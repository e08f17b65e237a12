"""Exercises of lesson 06: the gradient past a rounding, the gradient of a step, whole numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task

__all__ = ["TRAIN_QUANTIZED_TASKS"]


def passed_gradient(x: Tensor, gradient: Tensor, low: float, high: float) -> Tensor:
    """Return the gradient with respect to x of a rounding with a clamp, straight through."""
    return torch.where((x >= low) & (x <= high), gradient, 0.0)


def step_gradient(x: Tensor, step: float, quant_min: int, quant_max: int) -> Tensor:
    """Return d fake_quantize(x) / d step for each x."""
    place = x / step
    inside = torch.round(place) - place
    return torch.where(
        place <= quant_min,
        float(quant_min),
        torch.where(place >= quant_max, float(quant_max), inside),
    )


def rescale(accumulator: int, multiplier: int, shift: int) -> int:
    """Return accumulator * multiplier / 2**shift, rounded to the nearest, in whole numbers."""
    return (accumulator * multiplier + (1 << (shift - 1))) >> shift


_X = torch.tensor([-3.0, -1.0, -0.4, 0.3, 1.0, 2.5])
_UPSTREAM = torch.tensor([1.0, 2.0, -3.0, 4.0, 5.0, -6.0])

_PASSED_GRADIENT = Task(
    name="train_quantized.passed_gradient",
    statement=(
        "passed_gradient(x, gradient, low, high): behind a rounding that also clamps to "
        "[low, high], the loss has the gradient `gradient`. Return the one with respect to x that "
        "the straight-through estimator hands on; at the very ends it still passes."
    ),
    reference=passed_gradient,
    cases=(
        Case("clamped to [-1, 1]", (_X, _UPSTREAM, -1.0, 1.0)),
        Case("a grid that starts at 0", (_X, _UPSTREAM, 0.0, 2.0)),
        Case("wide enough for all", (_X, _UPSTREAM, -5.0, 5.0)),
    ),
    mistakes=(
        Mistake(
            "What was clamped got a gradient too: a small move of it changes nothing.",
            lambda x, gradient, low, high: gradient.clone(),
        ),
        Mistake(
            "This is the true gradient of a rounding: 0 everywhere, and nothing is ever learned.",
            lambda x, gradient, low, high: torch.zeros_like(gradient),
        ),
        Mistake(
            "The gradient was clamped. It is x that may lie outside.",
            lambda x, gradient, low, high: gradient.clamp(low, high),
        ),
        Mistake(
            "It passes where x was clamped and stops where it was not: the other way round.",
            lambda x, gradient, low, high: gradient - passed_gradient(x, gradient, low, high),
        ),
        Mistake(
            "At the very ends it is stopped; there it should still pass.",
            lambda x, gradient, low, high: torch.where((x > low) & (x < high), gradient, 0.0),
        ),
    ),
    hints=(
        "Two questions for each x: was it clamped? If not, act as if nothing had happened.",
        "gradient where low <= x <= high, else 0",
        (
            "def passed_gradient(x, gradient, low, high):\n"
            "    inside = (x >= low) & (x <= high)\n"
            "    return gradient * inside"
        ),
    ),
)

_STEP_GRADIENT = Task(
    name="train_quantized.step_gradient",
    statement=(
        "step_gradient(x, step, quant_min, quant_max) returns, for each x, the gradient of "
        "clamp(round(x / step), quant_min, quant_max) * step with respect to the step: "
        "round(x / step) - x / step between the ends of the grid, and the end itself beyond them."
    ),
    reference=step_gradient,
    cases=(
        Case("a step of 1", (torch.tensor([-3.0, -0.4, 0.3, 0.6, 1.45, 9.0]), 1.0, -2, 1)),
        Case("a step of 0.5", (torch.tensor([-0.2, 0.6, 2.0]), 0.5, -4, 3)),
        Case("codes from 0", (torch.tensor([-1.0, 0.2, 0.9, 7.0]), 0.25, 0, 15)),
    ),
    mistakes=(
        Mistake(
            "The part in the middle is missing: a larger step moves inner values too.",
            lambda x, step, quant_min, quant_max: torch.clamp(
                torch.round(x / step), quant_min, quant_max
            ),
        ),
        Mistake(
            "The sign is the other way round.",
            lambda x, step, quant_min, quant_max: -step_gradient(x, step, quant_min, quant_max),
        ),
        Mistake(
            "The ends are missing: what is clamped moves with the last code, by quant_min or "
            "quant_max for each unit of the step.",
            lambda x, step, quant_min, quant_max: torch.round(x / step) - x / step,
        ),
        Mistake(
            "Inside, x has to be counted in steps as well.",
            lambda x, step, quant_min, quant_max: torch.where(
                (x / step > quant_min) & (x / step < quant_max),
                torch.round(x / step) - x,
                torch.clamp(torch.round(x / step), quant_min, quant_max),
            ),
        ),
        Mistake(
            "Beyond the ends it is 0 here; there the value is an end times the step.",
            lambda x, step, quant_min, quant_max: torch.where(
                (x / step > quant_min) & (x / step < quant_max),
                torch.round(x / step) - x / step,
                0.0,
            ),
        ),
    ),
    hints=(
        "Three regions: below the grid, on it, above it. Count x in steps first.",
        "v = x / step;  v <= min: min;  v >= max: max;  else round(v) - v",
        (
            "def step_gradient(x, step, quant_min, quant_max):\n"
            "    place = x / step\n"
            "    inside = (place > quant_min) & (place < quant_max)\n"
            "    ends = place.clamp(quant_min, quant_max)\n"
            "    return torch.where(inside, place.round() - place, ends)"
        ),
    ),
)

_RESCALE = Task(
    name="train_quantized.rescale",
    statement=(
        "rescale(accumulator, multiplier, shift) returns accumulator * multiplier / 2**shift, "
        "rounded to the nearest whole number (a half goes up), with whole numbers alone: no "
        "division, no float."
    ),
    reference=rescale,
    cases=(
        Case("a third, as 11 / 2**5", (100, 11, 5)),
        Case("two thirds, as 21 / 2**5", (100, 21, 5)),
        Case("exactly two and a half goes up", (5, 1, 1)),
        Case("a negative sum", (-100, 11, 5)),
        Case("minus a half goes up, to 0", (-1, 1, 1)),
        Case("large numbers", (2**31 - 1, 2**31 - 1, 31)),
    ),
    mistakes=(
        Mistake(
            "The shift alone rounds down; the nearest is asked for.",
            lambda accumulator, multiplier, shift: (accumulator * multiplier) >> shift,
        ),
        Mistake(
            "The rest was cut off towards 0, so negative sums are rounded up.",
            lambda accumulator, multiplier, shift: int(accumulator * multiplier / 2**shift),
        ),
        Mistake(
            "A float crept in, and Python rounds its halves to the nearest even number.",
            lambda accumulator, multiplier, shift: round(accumulator * multiplier / 2**shift),
        ),
        Mistake(
            "A whole unit was added before the shift; half of one rounds to the nearest.",
            lambda accumulator, multiplier, shift: (
                (accumulator * multiplier + (1 << shift)) >> shift
            ),
        ),
        Mistake(
            "The shift came before the product: the digits that it drops are missing in it.",
            lambda accumulator, multiplier, shift: (accumulator >> shift) * multiplier,
        ),
    ),
    hints=(
        "A shift to the right divides by a power of two and rounds down. What must be added first?",
        "(a * m + 2**(shift - 1)) >> shift",
        (
            "def rescale(accumulator, multiplier, shift):\n"
            "    half = 1 << (shift - 1)\n"
            "    return (accumulator * multiplier + half) >> shift"
        ),
    ),
)

TRAIN_QUANTIZED_TASKS = (_PASSED_GRADIENT, _STEP_GRADIENT, _RESCALE)

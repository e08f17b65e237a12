"""Exercises of lesson 03, second half: what makes weights small, what tells that they matter."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task
from lwlab.prune import cubic

__all__ = ["CRITERIA_TASKS"]


def l1_penalty(weights: list[Tensor], strength: float) -> Tensor:
    """Return ``strength * sum |w|`` over all tensors."""
    return strength * sum(weight.abs().sum() for weight in weights)


def entropy_bits(counts: Tensor) -> float:
    """Return the entropy of a histogram in bits."""
    shares = counts[counts > 0] / counts.sum()
    return float((shares * (1 / shares).log2()).sum())


def taylor_importance(weight: Tensor, gradients: Tensor) -> Tensor:
    """Return the mean over batches of ``(g w)^2``."""
    return (gradients * weight).square().mean(dim=0)


def cubic_sparsity(progress: float, final: float) -> float:
    """Return the sparsity of the cubic schedule that starts at 0."""
    return cubic(progress, final)


_WEIGHTS = [torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([-4.0])]

_L1_PENALTY = Task(
    name="prune.l1_penalty",
    statement=(
        "l1_penalty(weights, strength) takes a list of weight tensors and returns strength times "
        "the sum of all |w|, as one tensor that gradients flow through."
    ),
    reference=l1_penalty,
    cases=(
        Case("two layers", (_WEIGHTS, 0.5)),
        Case("positive weights", ([torch.tensor([1.0, 2.0])], 1.0)),
        Case("strength 0", (_WEIGHTS, 0.0)),
    ),
    mistakes=(
        Mistake(
            "Positive and negative weights cancel: the absolute value is missing.",
            lambda weights, strength: strength * sum(w.sum() for w in weights),
        ),
        Mistake(
            "These are squares: that is the L2 penalty.",
            lambda weights, strength: strength * sum(w.square().sum() for w in weights),
        ),
        Mistake(
            "The strength is missing.",
            lambda weights, strength: l1_penalty(weights, 1.0),
        ),
        Mistake(
            "This is a mean over each layer. A sum is asked for: each weight pays the same.",
            lambda weights, strength: strength * sum(w.abs().mean() for w in weights),
        ),
        Mistake(
            "Only the first layer pays.",
            lambda weights, strength: l1_penalty(weights[:1], strength),
        ),
        Mistake(
            "The right number, as a Python float: no gradient can flow through it.",
            lambda weights, strength: float(l1_penalty(weights, strength)),
        ),
    ),
    hints=(
        "Each weight pays for its distance from 0, whatever its sign.",
        "penalty = strength * (sum over layers of the sum of |w|)",
        (
            "def l1_penalty(weights, strength):\n"
            "    return strength * sum(weight.abs().sum() for weight in weights)"
        ),
    ),
)

_ENTROPY_BITS = Task(
    name="prune.entropy_bits",
    statement=(
        "entropy_bits(counts) takes a histogram, a tensor of counts, and returns its entropy in "
        "bits: minus the sum of p * log2(p), p being the shares of the counts. An empty bin adds 0."
    ),
    reference=entropy_bits,
    cases=(
        Case("four equal bins have 2 bits", (torch.tensor([5.0, 5.0, 5.0, 5.0]),)),
        Case("one bin in three filled", (torch.tensor([0.0, 8.0, 0.0]),)),
        Case("an uneven histogram", (torch.tensor([4.0, 2.0, 1.0, 1.0]),)),
        Case("with an empty bin", (torch.tensor([3.0, 0.0, 1.0]),)),
    ),
    mistakes=(
        Mistake(
            "These are nats, to the base e. Bits take log2.",
            lambda counts: entropy_bits(counts) * math.log(2),
        ),
        Mistake(
            "The counts are no shares yet: divide them by their sum.",
            lambda counts: -float((counts[counts > 0] * counts[counts > 0].log2()).sum()),
        ),
        Mistake(
            "The sign is wrong: the logarithm of a share is negative, an entropy is not.",
            lambda counts: -entropy_bits(counts),
        ),
        Mistake(
            "The shares are missing before the logarithms: it is p * log2(p).",
            lambda counts: -float((counts[counts > 0] / counts.sum()).log2().sum()),
        ),
    ),
    hints=(
        "Turn counts into shares first. 0 * log2(0) is NaN for a computer: leave it out.",
        "p = counts / counts.sum();  H = -sum of p * log2(p) where p > 0",
        (
            "def entropy_bits(counts):\n"
            "    p = counts[counts > 0] / counts.sum()\n"
            "    return -float((p * p.log2()).sum())"
        ),
    ),
)

_TAYLOR_IMPORTANCE = Task(
    name="prune.taylor_importance",
    statement=(
        "taylor_importance(weight, gradients) takes a weight and its gradients on several batches, "
        "a tensor with one more dimension in front, and returns the mean over the batches of "
        "(gradient * weight) squared, of the weight's shape."
    ),
    reference=taylor_importance,
    cases=(
        Case(
            "two batches that pull in opposite directions",
            (torch.tensor([2.0, 1.0]), torch.tensor([[1.0, 3.0], [-1.0, 1.0]])),
        ),
        Case(
            "three batches, a matrix",
            (
                torch.tensor([[1.0, -2.0], [0.0, 3.0]]),
                torch.arange(12.0).reshape(3, 2, 2) - 5,
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "The mean was taken before the square. Gradients of batches cancel: at a minimum their "
            "mean is 0 for every weight.",
            lambda weight, gradients: (gradients.mean(dim=0) * weight).square(),
        ),
        Mistake(
            "The weight is missing: this is how the loss bends, not what removing w would do.",
            lambda weight, gradients: gradients.square().mean(dim=0),
        ),
        Mistake(
            "This is the sum over the batches. The mean is asked for.",
            lambda weight, gradients: (gradients * weight).square().sum(dim=0),
        ),
        Mistake(
            "The square is missing. A change of the loss in either direction counts.",
            lambda weight, gradients: (gradients * weight).mean(dim=0),
        ),
        Mistake(
            "This is one number for the whole tensor. Take the mean over dimension 0 alone.",
            lambda weight, gradients: (gradients * weight).square().mean(),
        ),
    ),
    hints=(
        "Removing w changes the loss by about -g * w, in each batch anew.",
        "importance = mean over batches of (g * w)^2",
        (
            "def taylor_importance(weight, gradients):\n"
            "    return (gradients * weight).square().mean(dim=0)"
        ),
    ),
)

_CUBIC_SPARSITY = Task(
    name="prune.cubic_sparsity",
    statement=(
        "cubic_sparsity(progress, final) returns the sparsity at a progress from 0 to 1: it rises "
        "from 0 to final, and what is still missing falls with the cube of the time left."
    ),
    reference=cubic_sparsity,
    cases=(
        Case("half-way", (0.5, 0.8)),
        Case("at the start", (0.0, 0.9)),
        Case("at the end", (1.0, 0.9)),
        Case("after a quarter", (0.25, 0.64)),
    ),
    mistakes=(
        Mistake(
            "This is the straight line of the linear schedule.",
            lambda progress, final: final * progress,
        ),
        Mistake(
            "Slow at first and fast at the end: the cube is of the time that is left, not of the "
            "time that is gone.",
            lambda progress, final: final * progress**3,
        ),
        Mistake(
            "This is the part that is still missing. Take it off the final sparsity.",
            lambda progress, final: final * (1 - progress) ** 3,
        ),
        Mistake(
            "This is a square where a cube is asked for.",
            lambda progress, final: final - final * (1 - progress) ** 2,
        ),
    ),
    hints=(
        "Of the time, 1 - progress is left. Which share of the cut is left then?",
        "sparsity = final - final * (1 - progress)^3",
        ("def cubic_sparsity(progress, final):\n    return final - final * (1 - progress) ** 3"),
    ),
)

CRITERIA_TASKS = (_L1_PENALTY, _ENTROPY_BITS, _TAYLOR_IMPORTANCE, _CUBIC_SPARSITY)

"""Exercises of lesson 03: masks by threshold and by count, and what they leave."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task
from lwlab.prune import threshold_mask, topk_mask

__all__ = ["PRUNE_TASKS"]


def sparsity(weight: Tensor) -> float:
    """Return the fraction of zeros in ``weight``."""
    return int((weight == 0).sum()) / weight.numel()


def _smallest(importance: Tensor, count: int) -> Tensor:
    mask = torch.ones(importance.numel(), dtype=torch.bool)
    mask[importance.flatten().argsort(stable=True)[:count]] = False
    return mask.reshape(importance.shape)


def _cut_at_kth(importance: Tensor, fraction: float) -> Tensor:
    count = round(fraction * importance.numel())
    if count == 0:
        return torch.ones_like(importance, dtype=torch.bool)
    return importance > importance.flatten().kthvalue(count).values


def _cut_at_kth_without_zero(importance: Tensor, fraction: float) -> Tensor:
    count = round(fraction * importance.numel())
    return importance > importance.flatten().kthvalue(count).values


def _pruned_values(arguments: tuple[Any, ...], mask: Tensor) -> Tensor:
    """Return the importances that were pruned, in order: which of two equal ones, is free."""
    return arguments[0][~mask].sort().values


def _row_by_row(importance: Tensor, fraction: float) -> Tensor:
    if importance.ndim == 1:
        return topk_mask(importance, fraction)
    return torch.stack([topk_mask(row, fraction) for row in importance])


_THRESHOLD_MASK = Task(
    name="prune.threshold_mask",
    statement=(
        "threshold_mask(weight, threshold) returns a bool tensor of the weight's shape: False "
        "(pruned) where |weight| < threshold, True (kept) elsewhere."
    ),
    reference=threshold_mask,
    cases=(
        Case("a small matrix", (torch.tensor([[0.1, -0.5], [0.3, -0.2]]), 0.25)),
        Case("weights exactly on the threshold", (torch.tensor([0.5, -0.5, 0.25]), 0.5)),
        Case("threshold 0 keeps everything", (torch.tensor([0.0, -1.0]), 0.0)),
    ),
    mistakes=(
        Mistake(
            "Negative weights were pruned whatever their size: the absolute value is missing.",
            lambda weight, threshold: weight >= threshold,
        ),
        Mistake(
            "The mask is the wrong way round: True keeps.",
            lambda weight, threshold: weight.abs() < threshold,
        ),
        Mistake(
            "A weight exactly on the threshold stays: only |weight| < threshold is pruned.",
            lambda weight, threshold: weight.abs() > threshold,
        ),
        Mistake(
            "This is the pruned weight. The mask alone is asked for, as bool.",
            lambda weight, threshold: weight * (weight.abs() >= threshold),
        ),
        Mistake(
            "The right places, as numbers. A mask is a bool tensor, as a comparison gives it.",
            lambda weight, threshold: (weight.abs() >= threshold).float(),
        ),
    ),
    hints=(
        "Which weights lie near 0? A comparison of a tensor with a number gives a bool tensor.",
        "mask[i] = |weight[i]| >= threshold",
        "def threshold_mask(weight, threshold):\n    return weight.abs() >= threshold",
    ),
)

_TOPK_MASK = Task(
    name="prune.topk_mask",
    statement=(
        "topk_mask(importance, sparsity) returns a bool tensor of the same shape with exactly "
        "round(sparsity * n) False in it, n being the number of values: the least important are "
        "pruned. Of equal values any may go, as long as the count is exact."
    ),
    reference=topk_mask,
    cases=(
        Case("half of a matrix", (torch.tensor([[2.0, 1.0], [4.0, 3.0]]), 0.5)),
        Case("a quarter", (torch.tensor([5.0, 1.0, 4.0, 3.0]), 0.25)),
        Case("equal values", (torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0]), 0.4)),
        Case("sparsity 0 prunes nothing", (torch.tensor([2.0, 1.0, 3.0]), 0.0)),
        Case(
            "3.5 weights are rounded to 4",
            (torch.tensor([7.0, 2.0, 5.0, 1.0, 6.0, 4.0, 3.0]), 0.5),
        ),
    ),
    mistakes=(
        Mistake(
            "The least important were kept and the most important pruned.",
            lambda i, s: _smallest(-i, round(s * i.numel())),
        ),
        Mistake(
            "The mask is the wrong way round: True keeps.",
            lambda i, s: ~topk_mask(i, s),
        ),
        Mistake(
            "Sparsity is the fraction that goes, not the fraction that stays.",
            lambda i, s: _smallest(i, round((1 - s) * i.numel())),
        ),
        Mistake(
            "Equal values were all pruned together, so more than the exact count is gone. A cut "
            "by value cannot part them: choose by position.",
            _cut_at_kth,
        ),
        Mistake(
            "At sparsity 0 there is no 0th smallest value: nothing is to be pruned. And a cut by "
            "value prunes too many where values are equal.",
            _cut_at_kth_without_zero,
        ),
        Mistake(
            "int() cuts 3.5 off to 3; round() is asked for.",
            lambda i, s: _smallest(i, int(s * i.numel())),
        ),
        Mistake(
            "The right choice, but flat: give the mask the shape of the importance.",
            lambda i, s: topk_mask(i, s).flatten(),
        ),
        Mistake(
            "Each row was pruned by itself. Count over the whole tensor.",
            _row_by_row,
        ),
        Mistake(
            "The right places, as numbers. A mask is a bool tensor.",
            lambda i, s: topk_mask(i, s).float(),
        ),
    ),
    hints=(
        "How many must go? And in which order would you take them away? argsort gives the order.",
        "count = round(sparsity * n);  pruned = the first `count` places of argsort(importance)",
        (
            "def topk_mask(importance, sparsity):\n"
            "    flat = importance.flatten()\n"
            "    mask = torch.ones(flat.numel(), dtype=torch.bool)\n"
            "    mask[flat.argsort()[:round(sparsity * flat.numel())]] = False\n"
            "    return mask.reshape(importance.shape)"
        ),
    ),
    canonical=_pruned_values,
)

_SPARSITY = Task(
    name="prune.sparsity",
    statement=(
        "sparsity(weight) returns the fraction of the weights that are exactly 0, a number from 0 "
        "to 1."
    ),
    reference=sparsity,
    cases=(
        Case("one zero of four", (torch.tensor([[0.0, 1.0], [-2.0, 3.0]]),)),
        Case("no zero, though some are small", (torch.tensor([1e-9, -0.001, 0.5]),)),
        Case("zeros only", (torch.zeros(2, 3),)),
        Case("three zeros of eight", (torch.tensor([0.0, 1, 0, 2, 3, 0, 4, -5]),)),
    ),
    mistakes=(
        Mistake(
            "This is the fraction that is left, the density.",
            lambda weight: int((weight != 0).sum()) / weight.numel(),
        ),
        Mistake(
            "This is the number of zeros. Divide by the number of weights.",
            lambda weight: int((weight == 0).sum()),
        ),
        Mistake(
            "This is in percent. A fraction goes from 0 to 1.",
            lambda weight: 100 * sparsity(weight),
        ),
        Mistake(
            "len(weight) is only the number of rows: use weight.numel().",
            lambda weight: int((weight == 0).sum()) / len(weight),
        ),
        Mistake(
            "Negative weights were counted as pruned. Only exact zeros are.",
            lambda weight: int((weight <= 0).sum()) / weight.numel(),
        ),
        Mistake(
            "Small weights were counted as pruned. Only exact zeros are.",
            lambda weight: int((weight.abs() < 0.01).sum()) / weight.numel(),
        ),
    ),
    hints=(
        "A comparison with 0 gives a bool tensor. How do you count its True values?",
        "sparsity = (number of i with weight[i] == 0) / n",
        "def sparsity(weight):\n    return int((weight == 0).sum()) / weight.numel()",
    ),
)

PRUNE_TASKS = (_THRESHOLD_MASK, _TOPK_MASK, _SPARSITY)

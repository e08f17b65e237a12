"""Exercises of lesson 00: what a network weighs, and the first squeeze."""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task

__all__ = ["START_TASKS"]


def size_of_floats(tensors: list[Tensor]) -> int:
    """Return the bytes that the numbers of some float32 tensors take."""
    return sum(4 * tensor.numel() for tensor in tensors)


def keep_largest(values: Tensor, k: int) -> Tensor:
    """Return ``values`` with zeros in all places but the k largest in absolute value."""
    result = torch.zeros_like(values)
    largest = values.abs().topk(k).indices
    result[largest] = values[largest]
    return result


def _keep(values: Tensor, kept: Tensor) -> Tensor:
    result = torch.zeros_like(values)
    result[kept] = values[kept]
    return result


_SIZE_OF_FLOATS = Task(
    name="start.size_of_floats",
    statement=(
        "size_of_floats(tensors) returns how many bytes the numbers of a list of float32 tensors "
        "take together. One float32 takes 4 bytes."
    ),
    reference=size_of_floats,
    cases=(
        Case("one vector", ([torch.zeros(3)],)),
        Case("a layer: weight and bias", ([torch.zeros(2, 3), torch.zeros(2)],)),
        Case("a convolution of 2 filters", ([torch.zeros(2, 1, 3, 3)],)),
        Case("no tensor at all", ([],)),
    ),
    mistakes=(
        Mistake(
            "This is the number of floats. How many bytes does each take?",
            lambda tensors: sum(tensor.numel() for tensor in tensors),
        ),
        Mistake(
            "This is the size in bits. 8 bits are one byte.",
            lambda tensors: sum(32 * tensor.numel() for tensor in tensors),
        ),
        Mistake(
            "len(tensor) counts only the first dimension, the rows.",
            lambda tensors: sum(4 * len(tensor) for tensor in tensors),
        ),
        Mistake(
            "This counts the tensors, not the numbers in them.",
            lambda tensors: 4 * len(tensors),
        ),
        Mistake(
            "Only the first tensor is counted. Does `return` stand inside the loop?",
            lambda tensors: 4 * tensors[0].numel() if tensors else 0,
        ),
        Mistake(
            "Only the first tensor is counted, and there may be none.",
            lambda tensors: 4 * tensors[0].numel(),
        ),
    ),
    hints=(
        "Each tensor knows how many numbers it holds, whatever its shape.",
        "bytes = 4 * (numbers of the first tensor + numbers of the second + ...)",
        "def size_of_floats(tensors):\n    return sum(4 * tensor.numel() for tensor in tensors)",
    ),
)

_KEEP_LARGEST = Task(
    name="start.keep_largest",
    statement=(
        "keep_largest(values, k) returns a new vector: the k values that are largest in absolute "
        "value stay in their places, all others become 0."
    ),
    reference=keep_largest,
    cases=(
        Case("two of four", (torch.tensor([0.5, -2.0, 1.0, -0.1]), 2)),
        Case("the largest is negative", (torch.tensor([1.0, -3.0, 2.0]), 1)),
        Case("all are kept", (torch.tensor([0.2, -0.1]), 2)),
        Case("none is kept", (torch.tensor([0.2, -0.1, 0.3]), 0)),
    ),
    mistakes=(
        Mistake(
            "The sign got in the way: -2 is large. Compare absolute values.",
            lambda values, k: _keep(values, values.topk(k).indices),
        ),
        Mistake(
            "The smallest were kept and the largest zeroed.",
            lambda values, k: _keep(values, values.abs().topk(k, largest=False).indices),
        ),
        Mistake(
            "k values were zeroed; k is how many are kept.",
            lambda values, k: _keep(values, values.abs().topk(len(values) - k).indices),
        ),
        Mistake(
            "The right values, but their signs are gone: compare by absolute value, keep the "
            "value itself.",
            lambda values, k: keep_largest(values, k).abs(),
        ),
        Mistake(
            "Only the k values are returned. The result has the length of the input, with zeros "
            "in the other places.",
            lambda values, k: values[values.abs().topk(k).indices],
        ),
    ),
    hints=(
        (
            "Small is what lies near 0, on either side. Which torch function gives the places of "
            "the k largest?"
        ),
        "places = indices of the k largest |values|;  result = 0 everywhere, values at places",
        (
            "def keep_largest(values, k):\n"
            "    result = torch.zeros_like(values)\n"
            "    largest = values.abs().topk(k).indices\n"
            "    result[largest] = values[largest]\n"
            "    return result"
        ),
    ),
)

START_TASKS = (_SIZE_OF_FLOATS, _KEEP_LARGEST)

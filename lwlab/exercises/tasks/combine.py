"""Exercises of lesson 08: what prune and quantize cost together, and the front of all tries."""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task

__all__ = ["COMBINE_TASKS"]


def bits_a_weight(sparsity: float, num_bits: int) -> Tensor:
    """Return the bits of a weight, zeros included: its position, and its code if it is kept."""
    shares = torch.tensor([sparsity, 1 - sparsity])
    position = -torch.xlogy(shares, shares).sum() / torch.log(torch.tensor(2.0))
    return position + (1 - sparsity) * num_bits


def _without_positions(sparsity: float, num_bits: int) -> Tensor:
    return torch.tensor((1 - sparsity) * num_bits)


def _with_bitmask(sparsity: float, num_bits: int) -> Tensor:
    return 1 + _without_positions(sparsity, num_bits)


def _all_kept(sparsity: float, num_bits: int) -> Tensor:
    return bits_a_weight(sparsity, 0) + num_bits


_BITS = Task(
    name="combine.bits_a_weight",
    statement=(
        "bits_a_weight(sparsity, num_bits) returns how many bits a weight takes in the mean, zeros "
        "included: H(sparsity) for whether it is kept, and num_bits for each one that is kept. H "
        "is the entropy of a yes or no, in bits; H(0) is 0."
    ),
    reference=bits_a_weight,
    cases=(
        Case("nothing pruned, 4 bits", (0.0, 4)),
        Case("half of it, 4 bits", (0.5, 4)),
        Case("90 %, 4 bits", (0.9, 4)),
        Case("99 %, 2 bits", (0.99, 2)),
    ),
    mistakes=(
        Mistake("Where the kept ones stand has to be written down, too.", _without_positions),
        Mistake(
            "A bitmask takes 1 bit, whatever the sparsity; the entropy is less, except at 50 %.",
            _with_bitmask,
        ),
        Mistake("Only the kept weights need a code.", _all_kept),
    ),
    hints=(
        "Two costs: is it kept? And if so, which code?",
        "H(s) = -s log2(s) - (1 - s) log2(1 - s); then (1 - s) * num_bits",
        (
            "def bits_a_weight(sparsity, num_bits):\n"
            "    shares = torch.tensor([sparsity, 1 - sparsity])\n"
            "    shares = shares[shares > 0]\n"
            "    position = -(shares * shares.log2()).sum()\n"
            "    return position + (1 - sparsity) * num_bits"
        ),
    ),
)


def pareto_front(size_bytes: Tensor, accuracy: Tensor) -> Tensor:
    """Return True for each try that no other one beats: none as small is better or as good."""
    smaller = size_bytes[None, :] <= size_bytes[:, None]
    better = accuracy[None, :] >= accuracy[:, None]
    strictly = (size_bytes[None, :] < size_bytes[:, None]) | (accuracy[None, :] > accuracy[:, None])
    return ~(smaller & better & strictly).any(dim=1)


def _best_only(size_bytes: Tensor, accuracy: Tensor) -> Tensor:
    return (size_bytes == size_bytes.min()) | (accuracy == accuracy.max())


def _strict_in_both(size_bytes: Tensor, accuracy: Tensor) -> Tensor:
    smaller = size_bytes[None, :] < size_bytes[:, None]
    better = accuracy[None, :] > accuracy[:, None]
    return ~(smaller & better).any(dim=1)


def _larger(size_bytes: Tensor, accuracy: Tensor) -> Tensor:
    return pareto_front(-size_bytes, accuracy)


_FRONT = Task(
    name="combine.pareto_front",
    statement=(
        "pareto_front(size_bytes, accuracy) takes a number of each try and returns a bool tensor: "
        "True unless another try is at least as small and at least as accurate, and better in one."
    ),
    reference=pareto_front,
    cases=(
        Case(
            "five tries",
            (torch.tensor([900, 400, 500, 100, 100]), torch.tensor([0.9, 0.8, 0.7, 0.5, 0.4])),
        ),
        Case("one as small, but better", (torch.tensor([10, 10]), torch.tensor([0.5, 0.6]))),
        Case("twice the same", (torch.tensor([10, 10, 20]), torch.tensor([0.5, 0.5, 0.5]))),
    ),
    mistakes=(
        Mistake("Those are the two ends of the front; others lie between them.", _best_only),
        Mistake("Large files came out: small is better.", _larger),
        Mistake("One that is equal in one and better in the other beats it, too.", _strict_in_both),
    ),
    hints=(
        "Compare every try with every other: when is one beaten?",
        "beaten[i] = any j with size_j <= size_i, accuracy_j >= accuracy_i, one of them strictly",
        (
            "def pareto_front(size_bytes, accuracy):\n"
            "    kept = []\n"
            "    for size, score in zip(size_bytes, accuracy, strict=True):\n"
            "        as_good = (size_bytes <= size) & (accuracy >= score)\n"
            "        better = (size_bytes < size) | (accuracy > score)\n"
            "        kept.append(not (as_good & better).any())\n"
            "    return torch.tensor(kept)"
        ),
    ),
)

COMBINE_TASKS = (_BITS, _FRONT)

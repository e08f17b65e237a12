"""Exercises of lesson 07: Shannon's bound, Huffman's code, positions as gaps."""

from __future__ import annotations

import heapq
import math

import torch
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task

__all__ = ["PACK_TASKS"]


def bound_bytes(counts: Tensor) -> Tensor:
    """Return the bytes below which no code gets that gives each symbol its own bits: n H / 8."""
    counts = counts[counts > 0].double()
    shares = counts / counts.sum()
    return -(counts * shares.log2()).sum() / 8


def _natural(counts: Tensor) -> Tensor:
    return bound_bytes(counts) * math.log(2)


_BOUND = Task(
    name="pack.bound_bytes",
    statement=(
        "bound_bytes(counts) takes how often each symbol occurs, and returns the bytes of all "
        "symbols together at -log2(share) bits each. A symbol that never occurs costs nothing."
    ),
    reference=bound_bytes,
    cases=(
        Case("a fair coin, eight throws", (torch.tensor([4, 4]),)),
        Case("three symbols", (torch.tensor([8, 4, 4]),)),
        Case("many zeros, and a symbol that never occurs", (torch.tensor([900, 60, 0, 40]),)),
    ),
    mistakes=(
        Mistake("These are bits; eight of them are a byte.", lambda c: 8 * bound_bytes(c)),
        Mistake(
            "This is the mean of one symbol; all of them are wanted.",
            lambda c: bound_bytes(c) / c.sum(),
        ),
        Mistake("The logarithm is to base e; a bit is a question with two answers.", _natural),
    ),
    hints=(
        "How many bits has one symbol of share p? How often does it occur? And 0 * log2(0) is NaN.",
        "bytes = -sum of counts_i * log2(counts_i / n), over 8",
        (
            "def bound_bytes(counts):\n"
            "    counts = counts[counts > 0].double()\n"
            "    shares = counts / counts.sum()\n"
            "    return -(counts * shares.log2()).sum() / 8"
        ),
    ),
)


def code_lengths(counts: Tensor) -> Tensor:
    """Return the bits of each symbol's Huffman code."""
    lengths = [0] * len(counts)
    groups = [(int(count), [symbol]) for symbol, count in enumerate(counts)]
    heapq.heapify(groups)
    while len(groups) > 1:
        (count, members), (other_count, others) = heapq.heappop(groups), heapq.heappop(groups)
        for symbol in members + others:
            lengths[symbol] += 1
        heapq.heappush(groups, (count + other_count, members + others))
    return torch.tensor(lengths)


def _shannon_lengths(counts: Tensor) -> Tensor:
    return (-(counts / counts.sum()).log2()).ceil().long()


def _equal_lengths(counts: Tensor) -> Tensor:
    return torch.full((len(counts),), math.ceil(math.log2(len(counts))))


def _two_commonest(counts: Tensor) -> Tensor:
    return code_lengths(counts.max() + 1 - counts)


# Counts for which only one table of lengths is the shortest: no ties on the way.
_HUFFMAN = Task(
    name="pack.code_lengths",
    statement=(
        "code_lengths(counts) returns the bits of each symbol's Huffman code, whole numbers in a "
        "tensor: merge the two rarest groups, again and again; each merge makes the codes of all "
        "their symbols one bit longer."
    ),
    reference=code_lengths,
    cases=(
        Case("a, b, c, d", (torch.tensor([5, 2, 1, 1]),)),
        Case("mostly zeros", (torch.tensor([40, 3, 2, 6, 12]),)),
        Case("all alike", (torch.tensor([7, 7, 7, 7]),)),
        Case("two symbols, very different", (torch.tensor([1, 99]),)),
    ),
    mistakes=(
        Mistake(
            "-log2(share), rounded up, is Shannon's code: good, but Huffman's is never longer.",
            _shannon_lengths,
        ),
        Mistake("All codes are equally long: then the frequent ones pay too much.", _equal_lengths),
        Mistake(
            "The two most frequent were merged; the rarest should get the long codes.",
            _two_commonest,
        ),
    ),
    hints=(
        "Keep a list of groups with their counts. Which two go into the next group?",
        "Python's heapq gives the smallest: heappop twice, heappush their sum and their members",
        (
            "def code_lengths(counts):\n"
            "    lengths = [0] * len(counts)\n"
            "    groups = [(int(count), [symbol]) for symbol, count in enumerate(counts)]\n"
            "    while len(groups) > 1:\n"
            "        groups.sort()\n"
            "        (count, members), (other_count, others), *rest = groups\n"
            "        for symbol in members + others:\n"
            "            lengths[symbol] += 1\n"
            "        groups = [*rest, (count + other_count, members + others)]\n"
            "    return torch.tensor(lengths)"
        ),
    ),
)


def gaps(mask: Tensor) -> Tensor:
    """Return how many zeros stand before each one, counted from the one before it."""
    places = mask.nonzero().flatten()
    before = torch.cat([torch.tensor([-1]), places[:-1]])
    return places - before - 1


def _distances(mask: Tensor) -> Tensor:
    return gaps(mask) + 1


def _places(mask: Tensor) -> Tensor:
    return mask.nonzero().flatten()


def _first_left_out(mask: Tensor) -> Tensor:
    places = mask.nonzero().flatten()
    return places.diff() - 1


_GAPS = Task(
    name="pack.gaps",
    statement=(
        "gaps(mask) takes a flat bool tensor and returns, for each True in it, how many False "
        "stand before it, counted from the True before (for the first one from the start)."
    ),
    reference=gaps,
    cases=(
        Case("1 0 0 1 1", (torch.tensor([True, False, False, True, True]),)),
        Case("it begins with zeros", (torch.tensor([False, False, False, True, False]),)),
        Case("none at all", (torch.tensor([False, False]),)),
    ),
    mistakes=(
        Mistake("These are distances: two neighbours have 0 zeros between them.", _distances),
        Mistake("These are places; a large tensor needs many bits for one.", _places),
        Mistake("The zeros before the first True are missing.", _first_left_out),
    ),
    hints=(
        "Where are the True? How far is each from the one before?",
        "places = mask.nonzero().flatten(); the one before the first stands at -1",
        (
            "def gaps(mask):\n"
            "    places = mask.nonzero().flatten()\n"
            "    before = torch.cat([torch.tensor([-1]), places[:-1]])\n"
            "    return places - before - 1"
        ),
    ),
)

PACK_TASKS = (_BOUND, _HUFFMAN, _GAPS)

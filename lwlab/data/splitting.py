"""Stratified splits: every part gets its share of every class, exactly and for ever.

The shares come from the method of largest remainders in whole numbers: each class first gets the
whole part of its quota, then the examples still missing go to the classes that are furthest behind.
So a part has exactly the size asked for, and each class in it is within one of its quota.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lwlab.checks import check_count

__all__ = ["class_shares", "stratified_split"]


def stratified_split(
    targets: np.ndarray, sizes: Sequence[int], seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Draw disjoint parts of the given sizes, and the rest, without touching any global stream.

    Args:
        targets: (N,) classes as whole numbers from 0.
        sizes: how many examples each part should have. A part gets at least one example of each
            class, and each class keeps one for every later part and for the rest, where it has
            that many; only this can make a part larger or smaller than asked for.
        seed: 0 to 2**32 - 1; the same seed draws the same parts on every machine and version.

    Returns:
        Indices into ``targets`` in a shuffled order: first the rest, then one array per size.

    Raises:
        ValueError: a size or the seed is out of range, or the sizes add up to more than there is.
    """
    seed = check_count("seed", seed, minimum=0, maximum=2**32 - 1)
    sizes = [check_count("sizes", size, minimum=0) for size in sizes]
    if sum(sizes) > len(targets):
        raise ValueError(f"sizes must add up to at most {len(targets)} examples, got {sum(sizes)}.")
    shares = class_shares(np.bincount(targets), sizes)
    # RandomState, not Generator or torch: its stream alone is promised never to change (NEP 19).
    order = np.random.RandomState(seed).permutation(len(targets))
    part_of = np.empty(len(targets), dtype=np.int64)
    for label, counts in enumerate(shares.T):
        members = order[targets[order] == label]
        part_of[members] = np.repeat(np.arange(len(counts)), counts)
    return tuple(order[part_of[order] == part] for part in range(len(shares)))


def class_shares(counts: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Return how many examples of each class go where: (1 + len(sizes), classes), the rest first.

    Args:
        counts: (classes,) examples of each class.
        sizes: the size of each part.
    """
    left = np.array(counts, dtype=np.int64)
    rows = []
    for position, size in enumerate(sizes):
        parts_to_come = len(sizes) - position  # The later ones and the rest.
        most = np.maximum(left - parts_to_come, 0)
        rows.append(_largest_remainders(np.asarray(counts, dtype=np.int64), size, most))
        left -= rows[-1]
    return np.stack([left, *rows])


def _largest_remainders(counts: np.ndarray, size: int, most: np.ndarray) -> np.ndarray:
    """Share ``size`` out in proportion to ``counts``; each class gets 1 (if it can) to ``most``."""
    least = np.minimum(1, most)
    total = int(counts.sum())
    shares = np.clip(size * counts // total, least, most)
    size = int(np.clip(size, least.sum(), most.sum()))
    while (missing := size - int(shares.sum())) != 0:
        # Whole numbers throughout, so that ties fall the same way on every machine: the lowest
        # class first.
        behind = size * counts - shares * total
        if missing > 0:
            shares[np.where(shares < most, behind, behind.min() - 1).argmax()] += 1
        else:
            shares[np.where(shares > least, behind, behind.max() + 1).argmin()] -= 1
    return shares

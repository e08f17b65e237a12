"""Positions: one number for each place in a channel dimension, and which of them go together.

The convolution ``conv1`` with 16 outputs makes 16 positions, 0 to 15. From there on they flow
along: a ReLU hands on the same 16 numbers, ``cat`` puts two lists one after the other, ``flatten``
repeats each number for every pixel. Where two tensors are added, position by position, channel i
of one cannot go without channel i of the other: the two numbers are *united*. A set of united
positions is one channel of the plan: all of it goes, or none.

The sets are kept as a forest in which each position points towards the smallest one of its set
(union-find; Tarjan 1975, "Efficiency of a good but not linear set union algorithm").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["Positions"]


class Positions:
    """All positions of a model, which of them are united, which must stay, and in what balance.

    Attributes:
        fixed: why a position must stay, by position; of several reasons the first.
        balances: lists of blocks of positions; each block of a list must lose equally many.
    """

    def __init__(self) -> None:
        self._parents: list[int] = []
        self.fixed: dict[int, str] = {}
        self.balances: list[list[np.ndarray]] = []

    def new(self, count: int) -> np.ndarray:
        """Return ``count`` new positions, each one alone in its set."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def unite(self, one: Iterable[int], other: Iterable[int]) -> None:
        """Unite two lists of positions, pair by pair."""
        for first, second in zip(one, other, strict=True):
            roots = sorted((self._root(int(first)), self._root(int(second))))
            self._parents[roots[1]] = roots[0]

    def fix(self, positions: Iterable[int], reason: str) -> None:
        """Let these positions stay, and with them all that are united with them."""
        for position in positions:
            self.fixed.setdefault(int(position), reason)

    def balance(self, blocks: Sequence[np.ndarray]) -> None:
        """Demand that of each block equally many positions go."""
        self.balances.append(list(blocks))

    def roots_of(self, positions: np.ndarray) -> np.ndarray:
        """Return for each of these positions the smallest one of its set."""
        return np.array([self._root(int(position)) for position in positions], int)

    def roots(self) -> np.ndarray:
        """Return for every position the smallest one of its set: equal where united."""
        return self.roots_of(np.arange(len(self._parents)))

    def together(self, lists: Iterable[np.ndarray]) -> np.ndarray:
        """Return the roots as they were if all positions of each list were united as well."""
        coarser = Positions()
        coarser._parents = list(self._parents)
        for positions in lists:
            coarser.unite(positions[:-1], positions[1:])
        return coarser.roots()

    def _root(self, position: int) -> int:
        parents = self._parents
        while parents[position] != position:
            parents[position] = parents[parents[position]]  # halves the way for the next time
            position = parents[position]
        return position

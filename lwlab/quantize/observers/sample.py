"""A uniform sample of a stream of any length, for the rules that need the values themselves."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MOST_VALUES", "Sample"]

MOST_VALUES = 2**19  # per group; any layer of the built-in models fits whole


class Sample:
    """Keep at most ``most`` columns of all that were added, each equally likely to be kept.

    Each column draws a random number when it comes, and those with the smallest numbers stay.
    Until there are more than ``most`` columns, everything is kept and nothing is random.

    Args:
        most: columns to keep.
        seed: of the random numbers.
    """

    def __init__(self, most: int = MOST_VALUES, seed: int = 0) -> None:
        self._most = most
        self._generator = torch.Generator().manual_seed(seed)
        self._keys: Tensor | None = None
        self._rows: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Add the columns of ``rows`` (groups, values)."""
        keys = torch.rand(rows.shape[1], generator=self._generator, dtype=torch.float64)
        if self._rows is None:
            self._keys, self._rows = keys, rows.clone()
        else:
            self._keys = torch.cat([self._keys, keys])
            self._rows = torch.cat([self._rows, rows], dim=1)
        if len(self._keys) > self._most:
            kept = self._keys.topk(self._most, largest=False).indices.sort().values
            self._keys, self._rows = self._keys[kept], self._rows[:, kept]

    @property
    def rows(self) -> Tensor:
        """The columns kept, in the order in which they came: (groups, values)."""
        return self._rows

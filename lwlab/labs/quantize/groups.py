"""FittingGroups: groups of one wanted size, made to fit tensors of any shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor

from lwlab.quantize import PerGroup

__all__ = ["FittingGroups", "fitting_group"]


def fitting_group(shape: tuple[int, ...], size: int) -> PerGroup:
    """Return the largest groups of at most ``size`` values that divide the channels of a tensor.

    >>> fitting_group((8, 4, 3, 3), 16)
    PerGroup(size=12, axis=0)
    """
    values = prod(shape[1:])
    return PerGroup(next(n for n in range(min(values, size), 0, -1) if values % n == 0))


@dataclass(frozen=True)
class FittingGroups:
    """Groups of at most ``size`` values, as many as divide the channels of each tensor.

    A scan takes one granularity for all layers, and few sizes divide the channels of them all.

    Attributes:
        size: values per group, at the most.
    """

    size: int

    def rows(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as one row per group."""
        return fitting_group(tuple(tensor.shape), self.size).rows(tensor)

    def from_rows(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor of ``shape`` that ``rows`` came from."""
        return fitting_group(shape, self.size).from_rows(rows, shape)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the number of its group for each value: a tensor of ``shape``."""
        return fitting_group(shape, self.size).spread(per_group, shape)

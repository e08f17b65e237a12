"""ReLU and max-pooling of whole numbers: both pick values, and need no scale.

ReLU of sums is ``max(sum, 0)``, since their zero is 0. Of codes it is a clamp from the zero point
up: ``rescaling.ClampCodes``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["IntegerMaxPool", "IntegerReLU"]


class IntegerReLU(nn.Module):
    """``max(x, 0)`` of int32 sums."""

    def forward(self, sums: Tensor) -> Tensor:
        """Return the sums, 0 in place of negative ones."""
        return sums.clamp_min(0)


class IntegerMaxPool(nn.Module):
    """Max-pooling of int32 numbers.

    Args:
        pool: the float max-pooling, of ``(x)``.
        rank: dimensions that are pooled.
    """

    def __init__(self, pool: Callable[[Tensor], Tensor], rank: int) -> None:
        super().__init__()
        self.pool, self.rank = pool, rank

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest number of each window, int32."""
        if self.rank == 2:
            return self.pool(x)
        # torch has no other for whole numbers. float64 holds each int32 as it is.
        return self.pool(x.double()).to(torch.int32)

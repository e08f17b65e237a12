"""Clipped: a range by hand, for every scale of a layer at once."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lwlab.checks import check_number
from lwlab.quantize.grid import Grid
from lwlab.quantize.observers.min_max import MinMax

__all__ = ["Clipped"]


@dataclass
class Clipped(MinMax):
    """The min-max of each group, cut off at ``low`` and ``high``.

        range = (max(min(x), low), min(max(x), high))

    With one scale for all, that is the range from ``low`` to ``high`` wherever there are values
    out there. With many scales it leaves a group alone that ends before: only the outliers of
    some groups are clipped. On a symmetric grid the larger of ``-low`` and ``high`` counts.

    Attributes:
        low: at most 0.
        high: at least 0; not both are 0.

    Example:
        prepare_(model, num_bits=4, layers=["conv1"], range_rule=Clipped(-0.3, 0.3))
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        low = check_number("low", self.low, maximum=0)
        high = check_number("high", self.high, minimum=0)
        if low == high:
            raise ValueError("low and high must leave a range between them, got 0.0 and 0.0.")

    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        low, high = super()._range(grid)
        if grid.symmetric:
            end = max(-self.low, self.high)
            return low.clamp(min=-end), high.clamp(max=end)
        return low.clamp(min=self.low), high.clamp(max=self.high)

"""Min-max: from the smallest to the largest value ever seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.quantize.grid import Grid
from lwlab.quantize.observers.observer import Observer

__all__ = ["MinMax"]


@dataclass
class MinMax(Observer):
    """``low = min(x)``, ``high = max(x)`` over everything observed.

    Nothing is clipped, and a single outlier decides about the step of all others. Good at 8 bits
    with a scale per channel; bad at few bits.
    """

    _low = _high = None

    def _see(self, rows: Tensor) -> None:
        low, high = rows.aminmax(dim=1)
        if self._low is not None:
            low, high = torch.minimum(low, self._low), torch.maximum(high, self._high)
        self._low, self._high = low, high

    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        return self._low, self._high

    def _forget(self) -> None:
        self._low = self._high = None

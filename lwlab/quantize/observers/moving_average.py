"""Moving average: the min-max of each batch, averaged with less weight on older ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_number
from lwlab.quantize.grid import Grid
from lwlab.quantize.observers.observer import Observer

__all__ = ["MovingAverage"]


@dataclass
class MovingAverage(Observer):
    """``low <- low + momentum (min(batch) - low)``, and the same for high with the maximum.

    The first batch sets both. For activations, whose extremes differ from batch to batch.

    Attributes:
        momentum: weight of the newest batch, above 0 and at most 1; 1 keeps the last batch alone.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.1.
    """

    momentum: float = 0.01

    _ends = None

    def __post_init__(self) -> None:
        if check_number("momentum", self.momentum, above=0) > 1:
            raise ValueError(f"momentum must be at most 1, got {self.momentum!r}.")

    def _see(self, rows: Tensor) -> None:
        ends = torch.stack(rows.aminmax(dim=1))
        self._ends = ends if self._ends is None else self._ends.lerp(ends, self.momentum)

    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        return self._ends[0], self._ends[1]

    def _forget(self) -> None:
        self._ends = None

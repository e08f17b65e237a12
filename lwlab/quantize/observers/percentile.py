"""Percentile: leave the outermost values outside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_number
from lwlab.quantize.grid import Grid
from lwlab.quantize.observers.observer import Observer
from lwlab.quantize.observers.sample import Sample

__all__ = ["Percentile"]


@dataclass
class Percentile(Observer):
    """The range between two quantiles, which leaves the share ``100 - percent`` outside.

    On an asymmetric grid half of it on each side: for 99.9 from the 0.05th to the 99.95th
    percentile. On a symmetric grid of ``|x|``: ``high = percentile(|x|)``, ``low = -high``.
    Between two values it interpolates, as ``torch.quantile`` and numpy do.

    It is simple and robust, and blind: it does not know what the clipping costs. With few values
    in a group even 99.9 % clips none of them.

    Attributes:
        percent: share of the values inside, above 0 and at most 100 (which is min-max).

    Source: Wu et al. 2020, "Integer quantization for deep learning inference", arXiv:2004.09602.
    """

    percent: float = 99.99

    def __post_init__(self) -> None:
        percent = check_number("percent", self.percent, above=0)
        if percent > 100:
            raise ValueError(f"percent must be at most 100, got {self.percent!r}.")
        self._forget()

    def _see(self, rows: Tensor) -> None:
        self._sample.add(rows)

    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        rows = self._sample.rows
        if grid.symmetric:
            high = _quantile(rows.abs(), self.percent / 100)
            return -high, high
        tail = (1 - self.percent / 100) / 2
        return _quantile(rows, tail), _quantile(rows, 1 - tail)

    def _forget(self) -> None:
        self._sample = Sample()


def _quantile(rows: Tensor, fraction: float) -> Tensor:
    """Return a quantile of each row. Not torch.quantile: it sorts, and refuses many values."""
    position = fraction * (rows.shape[1] - 1)
    below = int(position)
    above = min(below + 1, rows.shape[1] - 1)
    lower, upper = (rows.kthvalue(rank + 1, dim=1).values for rank in (below, above))
    return torch.lerp(lower, upper, position - below)

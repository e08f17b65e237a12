"""Mean squared error: try many ranges, take the one that moves the values least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_count
from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.grid import Grid, choose_qparams
from lwlab.quantize.observers.observer import Observer
from lwlab.quantize.observers.sample import Sample
from lwlab.quantize.sorted_rows import SortedRows

__all__ = ["MeanSquared"]

_ELEMENTS = 2**15  # looked at in one go: few calls, and what they make stays in the cache


@dataclass
class MeanSquared(Observer):
    """The range ``f * (min, max)`` with the smallest ``mean((fake_quantize(x) - x)^2)``.

    f runs over 1/n, 2/n, ... 1 for n = ``steps``. At 8 bits the best f is near 1; at 2 bits the
    best range leaves many values outside. Of equal errors the widest range is taken.

    Attributes:
        steps: number of ranges that are tried.

    Source: the squared error of a clipped uniform quantizer as the rule for a range is analysed in
    Banner et al. 2019, "Post training 4-bit quantization", arXiv:1810.05723. Here it is not
    modelled but measured on the values.
    """

    steps: int = 100

    def __post_init__(self) -> None:
        self.steps = check_count("steps", self.steps)
        self._forget()

    def _see(self, rows: Tensor) -> None:
        self._sample.add(rows)

    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        rows = self._sample.rows
        low, high = (end[:, None] for end in rows.aminmax(dim=1))
        # Widest first, since argmin takes the first of equals.
        fractions = torch.arange(self.steps, 0, -1) / self.steps
        # The sorted way asks per code, the direct one per value: whichever are fewer.
        codes, values = grid.quant_max - grid.quant_min + 1, rows.shape[1]
        error = _sorted_error(rows, grid) if codes <= values else _direct_error(rows, grid)
        at_once = max(1, _ELEMENTS // (len(rows) * min(codes, values)))
        errors = [error(low * part, high * part) for part in fractions.split(at_once)]
        best = fractions[torch.cat(errors, dim=1).argmin(dim=1)]
        return low[:, 0] * best, high[:, 0] * best

    def _forget(self) -> None:
        self._sample = Sample()


def _sorted_error(rows: Tensor, grid: Grid) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the squared errors as a function of ranges, by the grid's levels.

    Takes ends of shape (groups, choices), and returns errors of that shape.
    """
    ordered = SortedRows(rows)
    codes = torch.arange(grid.quant_min, grid.quant_max + 1)

    def error(low: Tensor, high: Tensor) -> Tensor:
        scale, zero_point = choose_qparams(low[..., None], high[..., None], grid)
        return ordered.squared_error((codes - zero_point) * scale.double())

    return error


def _direct_error(rows: Tensor, grid: Grid) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the same function, value by value."""
    ends = {"quant_min": grid.quant_min, "quant_max": grid.quant_max}
    values = rows[:, None]

    def error(low: Tensor, high: Tensor) -> Tensor:
        scale, zero_point = choose_qparams(low[..., None], high[..., None], grid)
        spread = values.expand(-1, low.shape[1], -1)
        moved = fake_quantize(spread, scale, zero_point, **ends) - values
        return moved.square().sum(dim=-1, dtype=torch.float64)

    return error

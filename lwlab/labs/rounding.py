"""RoundingLab: a handful of numbers on a grid, every code of them in sight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lwlab import quantize
from lwlab.checks import check_choice, check_count, check_finite, check_number
from lwlab.labs import rounding_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.first_params import first_params
from lwlab.labs.live_plot import Screen
from lwlab.models import compressible_layers
from lwlab.plots.rounding import MOST_COLUMNS, MOST_ROWS

__all__ = ["RoundingLab", "RoundingParams", "RoundingResult", "round_table"]

_SHARING = {"the whole table": quantize.PerTensor(), "a row": quantize.PerChannel()}


@dataclass(frozen=True)
class RoundingParams:
    """How the table is quantized.

    Attributes:
        num_bits: 2 to 8.
        sharing: what shares one scale, ``"the whole table"`` or ``"a row"``.
        symmetric: fix the zero point in the middle.
        clip: share of the range that the grid spans, in (0, 1].
        outlier: what the largest number is multiplied by first, 1 to 20.
        layer: which layer of a model is shown; empty for a tensor.
    """

    num_bits: int = 3
    sharing: str = "the whole table"
    symmetric: bool = True
    clip: float = 1.0
    outlier: float = 1.0
    layer: str = ""

    def __post_init__(self) -> None:
        """Check every field."""
        check_count("num_bits", self.num_bits, minimum=2, maximum=8)
        check_choice("sharing", self.sharing, _SHARING)
        check_number("clip", self.clip, above=0, maximum=1)
        check_number("outlier", self.outlier, minimum=1, maximum=20)


@dataclass(frozen=True, eq=False)
class RoundingResult:
    """A table of numbers and its codes.

    Attributes:
        values: the numbers, float32, (rows, columns).
        quantized: codes, scales and zero points.
        rounded: what the codes stand for, of the shape of ``values``.
    """

    values: Tensor
    quantized: quantize.QuantizedTensor
    rounded: Tensor

    @property
    def error(self) -> Tensor:
        """What rounding added to each number."""
        return self.rounded - self.values

    @property
    def mean_squared_error(self) -> float:
        """The mean of the squared errors."""
        return float(self.error.double().square().mean())


def round_table(values: Tensor, params: RoundingParams) -> RoundingResult:
    """Return ``values`` on the grid that ``params`` describe.

    Args:
        values: float32, (rows, columns), finite.
        params: see ``RoundingParams``; ``layer`` has no part in it.
    """
    values = values.clone()
    values.view(-1)[values.abs().argmax()] *= params.outlier
    sharing, grid = _SHARING[params.sharing], quantize.Grid(params.num_bits, params.symmetric)
    rows = sharing.rows(values)
    low, high = (params.clip * end for end in (rows.amin(dim=1), rows.amax(dim=1)))
    scale, zero_point = quantize.choose_qparams(low, high, grid)
    ends = {"quant_min": grid.quant_min, "quant_max": grid.quant_max}
    codes = quantize.quantize(rows, scale[:, None], zero_point[:, None], **ends)
    quantized = quantize.QuantizedTensor(
        sharing.from_rows(codes, tuple(values.shape)), scale, zero_point, sharing,
        params.num_bits, **ends, symmetric=params.symmetric,
    )  # fmt: skip
    return RoundingResult(values, quantized, quantized.dequantize())


class RoundingLab(Lab[RoundingParams, RoundingResult]):
    """See a few numbers become codes: each code, its error, and the grid that they fell on.

    A mouse over a cell shows the number, its code, scale, zero point and error.

    Args:
        values: a tensor of one or two dimensions, of which the first 8 rows of 10 are shown; or a
            model, of whose layers the first weights are shown.
        after: keep the lab locked until this prediction is made or skipped.
        **first: first values of the controls, by the fields of ``RoundingParams``.

    Raises:
        TypeError, ValueError: ``values`` is no such tensor and no model, has NaN or infinite
            numbers, or an argument is out of range.
    """

    def __init__(
        self, values: Tensor | nn.Module, *, after: Gate | None = None, **first: Any
    ) -> None:
        self._tables = _tables(values)
        names = list(self._tables)
        params = first_params(RoundingParams, "RoundingLab", {"layer": names[0], **first})
        check_choice("layer", params.layer, names)
        controls = view.controls(params, names, list(_SHARING))
        super().__init__(params=params, controls=controls, rows=view.rows(controls), after=after)
        self.compute_first()

    def compute(self, params: RoundingParams) -> Iterator[Part[RoundingResult]]:
        """Round the table."""
        yield Part(round_table(self._tables[params.layer], params))

    def draw(self, params: RoundingParams, result: RoundingResult) -> Screen:
        """Return the three tables, the lines and the sums."""
        return view.draw(params, result)


def _tables(values: Any) -> dict[str, Tensor]:
    """Return the tables that can be shown, by the name of their layer; a tensor has none."""
    if isinstance(values, nn.Module):
        layers = compressible_layers(values)
        if not layers:
            raise ValueError(
                f"values must be a model with a convolution or linear layer, got "
                f"{type(values).__name__} without one."
            )
        return {layer.name: _corner(layer.weight.detach().flatten(1)) for layer in layers}
    if not isinstance(values, Tensor) or not values.is_floating_point():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"values must be a floating-point tensor or a model, got {kind}.")
    if values.dim() not in (1, 2) or not values.numel():
        raise ValueError(
            f"values must have one or two dimensions and at least one number, got shape "
            f"{tuple(values.shape)}. Try weight.flatten(1)."
        )
    return {"": _corner(values.detach().reshape(-1, values.shape[-1]))}


def _corner(matrix: Tensor) -> Tensor:
    """Return a copy of the first rows and columns, as many as can be read."""
    return check_finite("values", matrix[:MOST_ROWS, :MOST_COLUMNS].float().clone())

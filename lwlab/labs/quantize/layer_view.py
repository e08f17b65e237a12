"""LayerView: the grid of one layer as a histogram shows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.labs.quantize.params import Clip
from lwlab.labs.quantize.settings import LayerSetting
from lwlab.quantize import FakeQuantize, QuantizedTensor

__all__ = ["LayerView", "view_of"]

_MOST_GRIDS = 40  # rows of ticks; more of them are no longer told apart


@dataclass(frozen=True, eq=False)
class LayerView:
    """Where the weights of a layer may go.

    Attributes:
        name: of the layer.
        grids: values of each scale's grid, rising; evenly chosen scales where there are many.
        scales: how many there are; 0 in float.
        lines: outermost ends of the ranges; None where there is no range: in float, and for two or
            three values by a rule of their own.
        clipped: bool, of the weight's shape: what the ends of its grid cut off; None where no
            range is.
    """

    name: str
    grids: tuple[tuple[float, ...], ...]
    scales: int
    lines: Clip | None
    clipped: Tensor | None


@torch.no_grad()
def view_of(
    name: str, weight: Tensor, fake: FakeQuantize | None, setting: LayerSetting
) -> LayerView:
    """Return the view of a layer whose ``weight`` is quantized by ``fake``; None is float."""
    if fake is None:
        return LayerView(name, (), 0, None, None)
    quantized = fake.quantized(weight)
    grids, scales = _grids(quantized), quantized.scale.numel()
    if setting.low_bit:
        return LayerView(name, grids, scales, None, None)
    lines = _lines(quantized, weight, setting)
    return LayerView(name, grids, scales, lines, _clipped(quantized, weight))


def _grids(quantized: QuantizedTensor) -> tuple[tuple[float, ...], ...]:
    codes = torch.arange(quantized.quant_min, quantized.quant_max + 1)
    if quantized.num_bits == 1 and quantized.quant_min == -1:
        codes = torch.tensor([-1, 1])  # binary: 0 is there for pruned weights alone
    count = quantized.scale.numel()
    rows = torch.arange(min(count, _MOST_GRIDS)) * count // min(count, _MOST_GRIDS)
    steps = codes - quantized.zero_point[rows, None]
    return tuple(map(tuple, (steps * quantized.scale[rows, None]).tolist()))


def _lines(quantized: QuantizedTensor, weight: Tensor, setting: LayerSetting) -> Clip:
    """Return where the outermost range ends: by hand as it is asked for, else with its grid."""
    if setting.clip is not None:
        smallest, largest = (float(end) for end in weight.aminmax())
        low, high = setting.clip
        if setting.symmetric:
            end = min(max(-low, high), max(-smallest, largest))
            return -end, end
        return max(low, min(smallest, 0.0)), min(high, max(largest, 0.0))
    scale, zero_point = quantized.scale, quantized.zero_point
    high = float(((quantized.quant_max - zero_point) * scale).max())
    if setting.symmetric:
        return -high, high
    return float(((quantized.quant_min - zero_point) * scale).min()), high


def _clipped(quantized: QuantizedTensor, weight: Tensor) -> Tensor:
    """Return which weights lie more than half a step beyond the end of their grid."""
    spread = quantized.granularity.spread
    scale, zero_point = (
        spread(part, weight.shape) for part in (quantized.scale, quantized.zero_point)
    )
    codes = torch.round(weight / scale) + zero_point
    return (codes < quantized.quant_min) | (codes > quantized.quant_max)

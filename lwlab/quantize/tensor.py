"""A quantized tensor: codes, and what they mean.

weight ~= (codes - zero_point) * scale      one scale and zero point per group
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lwlab.checks import check_count, check_finite
from lwlab.quantize.affine import dequantize, quantize
from lwlab.quantize.granularity import Granularity, PerTensor, check_granularity
from lwlab.quantize.grid import Grid, choose_qparams
from lwlab.quantize.low_bit import binary_codes, ternary_codes
from lwlab.quantize.observers import MinMax, Observer, check_observer, observed_range
from lwlab.quantize.rounding import Rounding, round_nearest

__all__ = ["TERNARY", "QuantizedTensor", "check_bits", "quantize_tensor"]

TERNARY = "ternary"


@dataclass(frozen=True, eq=False)
class QuantizedTensor:
    """Codes with their scales and zero points.

    Attributes:
        codes: int32, of the shape of the tensor that was quantized, in [quant_min, quant_max].
        scale: float32, (groups,).
        zero_point: int32, (groups,); the code of 0.
        granularity: which codes share a scale.
        num_bits: bits of one code in a file.
        quant_min: smallest code.
        quant_max: largest code.
        symmetric: the zero points are fixed by the grid, so a file need not hold them.
        dtype: of the tensor that was quantized.
    """

    codes: Tensor
    scale: Tensor
    zero_point: Tensor
    granularity: Granularity
    num_bits: int
    quant_min: int
    quant_max: int
    symmetric: bool = True
    dtype: torch.dtype = torch.float32

    @property
    def shape(self) -> torch.Size:
        """The shape of the tensor that was quantized."""
        return self.codes.shape

    def dequantize(self) -> Tensor:
        """Return the tensor that the codes stand for, in its own shape and dtype."""
        scale = self.granularity.spread(self.scale, self.shape)
        zero_point = self.granularity.spread(self.zero_point, self.shape)
        return dequantize(self.codes, scale, zero_point).to(self.dtype)

    def storage_bits(self, *, scale_bits: int = 32) -> int:
        """Return the bits of everything that must be stored, without any cleverness or header.

        ``codes * num_bits + groups * scale_bits``, and ``groups * num_bits`` for zero points,
        which are codes, unless they are fixed. Binary codes with zeros among them (pruned weights)
        need one bit more per code that says where; the zeros themselves then need none.

        Args:
            scale_bits: 32, or 16 for scales in half precision.
        """
        scale_bits = check_count("scale_bits", scale_bits)
        groups, count = self.scale.numel(), self.codes.numel()
        code_bits = count * self.num_bits
        if self.num_bits == 1 and self.quant_min == -1 and self.quant_max == 1:
            zeros = int((self.codes == 0).sum())
            code_bits = count + (count - zeros) if zeros else count
        zero_point_bits = 0 if self.symmetric else groups * self.num_bits
        return code_bits + groups * scale_bits + zero_point_bits


def quantize_tensor(
    weight: Tensor,
    num_bits: int | str = 8,
    granularity: Granularity | None = None,
    *,
    symmetric: bool = True,
    range_rule: Observer | None = None,
    rounding: Rounding = round_nearest,
) -> QuantizedTensor:
    """Quantize a tensor: find the range of each group, then its scale, then the codes.

    >>> quantize_tensor(torch.tensor([0.1, -0.8, 1.4]), 4).codes
    tensor([ 0, -4,  7], dtype=torch.int32)

    Args:
        weight: floating point, finite, not empty, any shape.
        num_bits: 2 to 8 for evenly spaced codes (see ``grid``); 1 for -a and a, and ``"ternary"``
            for -a, 0 and a, by rules of their own (see ``low_bit``) that need no range.
        granularity: ``PerTensor()`` if None.
        symmetric: fix the zero point in the middle. With ``symmetric=False`` 1 bit is evenly
            spaced as well: the codes 0 and one end of the range.
        range_rule: an observer such as ``MeanSquared()``, which is not changed; ``MinMax()`` if
            None.
        rounding: from ``rounding``; unused by binary and ternary.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: ``num_bits`` is out of range, the tensor is empty or not finite, or the groups
            do not divide it.
    """
    granularity = check_granularity(PerTensor() if granularity is None else granularity)
    rule = check_observer(MinMax() if range_rule is None else range_rule)
    num_bits = check_bits(num_bits)
    rows = granularity.rows(_check_weight(weight.detach()))
    if num_bits == TERNARY or (num_bits == 1 and symmetric):
        return _low_bit(rows, weight, granularity, num_bits)
    grid = Grid(num_bits, symmetric)
    scale, zero_point = choose_qparams(*observed_range(rule, rows, grid), grid)
    ends = {"quant_min": grid.quant_min, "quant_max": grid.quant_max}
    codes = quantize(rows, scale[:, None], zero_point[:, None], **ends, rounding=rounding)
    codes = granularity.from_rows(codes, tuple(weight.shape))
    return QuantizedTensor(
        codes, scale, zero_point, granularity, num_bits, **ends, symmetric=symmetric,
        dtype=weight.dtype,
    )  # fmt: skip


def _low_bit(
    rows: Tensor, weight: Tensor, granularity: Granularity, num_bits: int | str
) -> QuantizedTensor:
    codes, scale = ternary_codes(rows) if num_bits == TERNARY else binary_codes(rows)
    return QuantizedTensor(
        codes=granularity.from_rows(codes, tuple(weight.shape)),
        scale=scale,
        zero_point=torch.zeros_like(scale, dtype=torch.int32),
        granularity=granularity,
        num_bits=2 if num_bits == TERNARY else 1,
        quant_min=-1,
        quant_max=1,
        dtype=weight.dtype,
    )


def check_bits(value: Any, name: str = "num_bits") -> int | str:
    """Return ``value`` as a whole number from 1 to 8, or ``"ternary"``.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if isinstance(value, str):
        if value == TERNARY:
            return value
        raise ValueError(f"{name} must be a whole number from 1 to 8 or 'ternary', got {value!r}.")
    return check_count(name, value, minimum=1, maximum=8)


def _check_weight(weight: Tensor) -> Tensor:
    if not weight.is_floating_point():
        raise TypeError(f"weight must be a floating-point tensor, got {weight.dtype}.")
    if weight.numel() == 0:
        raise ValueError(f"weight must hold at least one value, got shape {tuple(weight.shape)}.")
    return check_finite("weight", weight)

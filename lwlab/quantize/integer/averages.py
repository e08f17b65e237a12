"""Means and average pooling in integers: a sum, then a division.

    average = (2^16 sum + count // 2) // count        sum of (code - zero_point) over the window

The 16 bits below the step of the code keep what the division leaves over; so the result has the
scale ``s_x / 2^16``. Division rounds to the nearest, halves up. The count is that of the window,
which may be smaller at the border of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["AVERAGE_BITS", "IntegerAveragePool", "IntegerMean", "divide"]

AVERAGE_BITS = 16
"""Bits below a step of the code that an average has."""


def divide(sums: Tensor, count: Tensor | int) -> Tensor:
    """Return ``2^16 sums / count`` to the nearest whole number, halves up; int32.

    >>> divide(torch.tensor([3, -3]), 2) / 2**AVERAGE_BITS
    tensor([ 1.5000, -1.5000])
    """
    scaled = (sums.to(torch.int64) << AVERAGE_BITS) + count // 2
    return torch.div(scaled, count, rounding_mode="floor").to(torch.int32)


class IntegerMean(nn.Module):
    """The mean over some axes.

    Args:
        dim: the axes.
        keepdim: keep them, with length 1.
        input_zero_point: int32, ().
    """

    input_zero_point: Tensor

    def __init__(self, dim: Any, keepdim: bool, input_zero_point: Tensor) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim
        self.register_buffer("input_zero_point", input_zero_point.to(torch.int32).clone())

    def forward(self, codes: Tensor) -> Tensor:
        """Return the mean of the codes less their zero point, int32 at 2^-16 of their scale."""
        centred = codes - self.input_zero_point
        sums = centred.sum(self.dim, keepdim=self.keepdim, dtype=torch.int64)
        return divide(sums, centred.numel() // max(1, sums.numel()))

    def extra_repr(self) -> str:
        """Show the axes when the model is printed."""
        return f"over {self.dim}"


class IntegerAveragePool(nn.Module):
    """Average pooling of any kind in torch.

    torch pools in float64, from which the sum of a window comes back exactly; the division is ours.

    Args:
        pool: the float pooling, of ``(x)``.
        settings: the arguments of ``nn.AvgPool2d`` by name, or ``None`` for adaptive pooling.
        input_zero_point: int32, ().
        rank: dimensions that are pooled.
    """

    input_zero_point: Tensor

    def __init__(
        self,
        pool: Callable[[Tensor], Tensor],
        settings: dict[str, Any] | None,
        input_zero_point: Tensor,
        rank: int,
    ) -> None:
        super().__init__()
        self.pool, self.settings, self.rank = pool, settings, rank
        self.register_buffer("input_zero_point", input_zero_point.to(torch.int32).clone())

    def forward(self, codes: Tensor) -> Tensor:
        """Return the averages of the codes less their zero point, int32 at 2^-16 of their scale."""
        averages = self.pool((codes - self.input_zero_point).double())
        count = self._counts(tuple(codes.shape[-self.rank :]), tuple(averages.shape[-self.rank :]))
        return divide((averages * count).round(), count)

    def _counts(self, sizes: tuple[int, ...], outputs: tuple[int, ...]) -> Tensor:
        """Return what torch divides the sum of each window by, of the shape of the output."""
        override = (self.settings or {}).get("divisor_override")
        if override:
            return torch.full(outputs, override)
        counts = torch.ones((), dtype=torch.int64)
        for axis, (size, output) in enumerate(zip(sizes, outputs, strict=True)):
            windows = _adaptive_windows if self.settings is None else self._windows
            counts = counts.unsqueeze(-1) * torch.tensor(windows(size, output, axis))
        return counts

    def _windows(self, size: int, output: int, axis: int) -> list[int]:
        """Return the lengths of the windows along an axis, as torch counts them."""
        names = ("kernel_size", "stride", "padding")
        kernel, stride, padding = (_at(self.settings[name], axis) for name in names)
        stride = stride or kernel
        starts = [number * stride - padding for number in range(output)]
        if self.settings["count_include_pad"]:
            return [min(start + kernel, size + padding) - start for start in starts]
        return [min(start + kernel, size) - max(start, 0) for start in starts]


def _adaptive_windows(size: int, output: int, axis: int) -> list[int]:
    """Return the lengths of the windows of adaptive pooling: they share the axis out."""
    edges = [(n * size // output, -(-(n + 1) * size // output)) for n in range(output)]
    return [end - start for start, end in edges]


def _at(value: Any, axis: int) -> int | None:
    """Return the part of a setting for one axis; torch takes a number for all, or a tuple."""
    if value is None or isinstance(value, int):
        return value
    return value[axis] if len(value) > 1 else value[0]

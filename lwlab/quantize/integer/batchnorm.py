"""BatchNorm in integers, for one that was not folded into the layer before it.

    y = a x + b            a = gamma / sqrt(var + eps)      b = beta - a mean, per channel
    sums = factor * (code - zero_point) + bias              factor ~= a s_x / s, bias ~= b / s

The scale ``s`` of each channel is chosen so that factor and bias both have 29 bits at the most, and
one of them nearly that: no channel overflows, and none is coarse.

Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2 (where it is folded instead).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lwlab.quantize.integer.rescaling import along

__all__ = ["IntegerBatchNorm"]

_LARGEST = 2**29


class IntegerBatchNorm(nn.Module):
    """One integer factor and one integer bias per channel, along axis 1.

    Args:
        norm: the float BatchNorm, with running statistics.
        input_scale: of the codes that come in.
        input_zero_point: int32, ().
        largest_input: the largest magnitude of a code less its zero point.

    Attributes:
        factor: int32, (channels,).
        bias: int32, (channels,).
        scale: of the sums, float64, (channels,): no buffer, the integers do not need it.
    """

    factor: Tensor
    bias: Tensor
    input_zero_point: Tensor

    def __init__(
        self,
        norm: _BatchNorm,
        input_scale: Tensor,
        input_zero_point: Tensor,
        largest_input: int,
    ) -> None:
        super().__init__()
        slope, offset = _slope_and_offset(norm)
        slope = slope * input_scale.double()
        largest = torch.maximum(slope.abs() * largest_input, offset.abs())
        self.scale = torch.where(largest > 0, largest / _LARGEST, 1.0)
        self.register_buffer("factor", (slope / self.scale).round().to(torch.int32))
        self.register_buffer("bias", (offset / self.scale).round().to(torch.int32))
        self.register_buffer("input_zero_point", input_zero_point.to(torch.int32).clone())

    def forward(self, codes: Tensor) -> Tensor:
        """Return ``factor * (codes - input_zero_point) + bias``, int32."""
        factor, bias = (along(part, codes, 1) for part in (self.factor, self.bias))
        return (codes - self.input_zero_point).mul_(factor).add_(bias)

    def extra_repr(self) -> str:
        """Show the integers when the model is printed."""
        return f"{len(self.factor)} channels, int32 factor and bias"


def _slope_and_offset(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    slope = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        slope = slope * norm.weight.detach().double()
    offset = -slope * norm.running_mean.double()
    return slope, offset if norm.bias is None else offset + norm.bias.detach().double()

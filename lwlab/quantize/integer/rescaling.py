"""The doors between real numbers, sums and codes: Quantize, Requantize, Dequantize; and clamping.

    Quantize      real numbers -> codes      clamp(round(x / scale) + zero_point)
    Requantize    sums -> codes              clamp(fixed_point(x - input_zero_point) + zero_point)
    Dequantize    codes or sums -> reals     (x - zero_point) * scale
    ClampCodes    codes -> codes             clamp(x, low, high): ReLU, ReLU6 and their kind

All whole numbers are int32 tensors here: arithmetic on int8 wraps around without a word. How few
bits a code needs is for the file.

Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lwlab.quantize.affine import quantize
from lwlab.quantize.integer.fixed_point import in_blocks, multiply, to_fixed_point

__all__ = ["ClampCodes", "Dequantize", "Quantize", "Requantize", "along"]


def along(per_channel: Tensor, x: Tensor, axis: int) -> Tensor:
    """Return one number per channel so that it broadcasts along ``axis`` of ``x``."""
    if per_channel.dim() == 0:
        return per_channel
    return per_channel.reshape([-1] + [1] * (x.dim() - 1 - axis % x.dim()))


class Quantize(nn.Module):
    """Real numbers to codes, by division and rounding in floating point: the way in.

    Args:
        scale: float32, ().
        zero_point: int32, ().
        quant_min: smallest code.
        quant_max: largest code.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int) -> None:
        super().__init__()
        self.quant_min, self.quant_max = quant_min, quant_max
        self.register_buffer("scale", scale.detach().float().clone())
        self.register_buffer("zero_point", zero_point.detach().to(torch.int32).clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of ``x``, int32."""
        ends = {"quant_min": self.quant_min, "quant_max": self.quant_max}
        return quantize(x, self.scale, self.zero_point, **ends)

    def extra_repr(self) -> str:
        """Show the grid when the model is printed."""
        grid = f"codes {self.quant_min} to {self.quant_max}"
        return f"{grid}, scale {float(self.scale):.3g}, zero {int(self.zero_point)}"


class Requantize(nn.Module):
    """Sums at one scale, or codes of one grid, to codes of another, in fixed point.

    Args:
        multiplier: input scale / output scale, float64, () or (channels,); see ``to_fixed_point``.
        zero_point: int32, (): of the output.
        quant_min: smallest code.
        quant_max: largest code.
        input_zero_point: int32, (): of the input; 0 for sums.
        axis: of the channels in the input.

    Attributes:
        mantissa: int32, of the shape of ``multiplier``.
        shift: int32, of the shape of ``multiplier``.
    """

    mantissa: Tensor
    shift: Tensor
    zero_point: Tensor
    input_zero_point: Tensor

    def __init__(
        self,
        multiplier: Tensor,
        zero_point: Tensor,
        quant_min: int,
        quant_max: int,
        *,
        input_zero_point: Tensor | int = 0,
        axis: int = 1,
    ) -> None:
        super().__init__()
        self.quant_min, self.quant_max, self.axis = quant_min, quant_max, axis
        mantissa, shift = to_fixed_point(multiplier)
        self.register_buffer("mantissa", mantissa)
        self.register_buffer("shift", shift)
        self.register_buffer("zero_point", zero_point.detach().to(torch.int32).clone())
        origin = torch.as_tensor(input_zero_point).to(torch.int32).clone()
        self.register_buffer("input_zero_point", origin)

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of ``x``, int32."""
        return in_blocks(self._codes, x)

    def _codes(self, x: Tensor) -> Tensor:
        mantissa, shift = (along(part, x, self.axis) for part in (self.mantissa, self.shift))
        steps = multiply(x.to(torch.int64) - self.input_zero_point, mantissa, shift)
        codes = steps.add_(self.zero_point).clamp_(self.quant_min, self.quant_max)
        return codes.to(torch.int32)

    def extra_repr(self) -> str:
        """Show the multipliers and the grid when the model is printed."""
        ratios = torch.ldexp(self.mantissa.double(), -self.shift.double())
        low, high = (float(end) for end in ratios.aminmax())
        times = f"times {low:.3g}" if low == high else f"times {low:.3g} to {high:.3g} by channel"
        grid = f"codes {self.quant_min} to {self.quant_max}, zero {int(self.zero_point)}"
        return f"{times}, {grid}"


class Dequantize(nn.Module):
    """Codes or sums to the real numbers that they stand for, float32: the way out.

    Args:
        scale: () or (channels,).
        zero_point: int32, (); 0 for sums.
        axis: of the channels in the input.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, scale: Tensor, zero_point: Tensor | int = 0, *, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("scale", scale.detach().float().clone())
        self.register_buffer("zero_point", torch.as_tensor(zero_point).to(torch.int32).clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(x - zero_point) * scale``, float32."""
        return (x - self.zero_point).to(torch.float32) * along(self.scale, x, self.axis)

    def extra_repr(self) -> str:
        """Show the scale when the model is printed."""
        low, high = (float(end) for end in self.scale.aminmax())
        return f"scale {low:.3g}" if low == high else f"scale {low:.3g} to {high:.3g} by channel"


class ClampCodes(nn.Module):
    """Limit codes, which limits the real numbers behind them; None leaves a side open.

    ReLU is a clamp from the zero point up. Clamping before the rounding or after it gives the same
    code, since rounding keeps the order of numbers.

    Args:
        low: smallest code let through.
        high: largest code let through.
    """

    def __init__(self, low: Tensor | int | None = None, high: Tensor | int | None = None) -> None:
        super().__init__()
        for name, end in (("low", low), ("high", high)):
            buffer = None if end is None else torch.as_tensor(end).to(torch.int32).clone()
            self.register_buffer(name, buffer)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the limited codes."""
        return codes.clamp(self.low, self.high)

    def extra_repr(self) -> str:
        """Show the limits when the model is printed."""
        ends = [("from", self.low), ("to", self.high)]
        return ", ".join(f"{word} {int(end)}" for word, end in ends if end is not None)

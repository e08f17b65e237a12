"""Sum, difference and concatenation of codes whose scales differ.

    result = fixed_point((a - zero_point_a) * s_a / s) + fixed_point((b - zero_point_b) * s_b / s)

Codes of two grids cannot be added: a step of one is not a step of the other. Both are brought to
one scale first, ``s = max(s_a, s_b) / 2^20``: so fine that the rounding here, half a step of it, is
a millionth of a code's step, and coarse enough for int32.

Source: Jacob et al. 2018, arXiv:1712.05877, appendix A.2 and A.3; the 20 bits are those of
TensorFlow Lite.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lwlab.quantize.integer.fixed_point import in_blocks, multiply, to_fixed_point

__all__ = ["HEADROOM_BITS", "IntegerConcat", "IntegerSum"]

HEADROOM_BITS = 20
"""Bits below the coarsest operand's step that a common scale has."""


class _Aligned(nn.Module):
    """Brings operands to a common scale.

    Args:
        scales: of each operand, float.
        zero_points: of each operand, int32.

    Attributes:
        scale: of the result, float64, (): no buffer, the integers do not need it.
        mantissa: int32, (operands,).
        shift: int32, (operands,).
        zero_points: int32, (operands,).
    """

    mantissa: Tensor
    shift: Tensor
    zero_points: Tensor

    def __init__(self, scales: Sequence[Tensor], zero_points: Sequence[Tensor]) -> None:
        super().__init__()
        each = torch.stack([scale.double() for scale in scales])
        self.scale = each.max() / 2**HEADROOM_BITS
        mantissa, shift = to_fixed_point(each / self.scale)
        self.register_buffer("mantissa", mantissa)
        self.register_buffer("shift", shift)
        self.register_buffer("zero_points", torch.stack(list(zero_points)).to(torch.int32))

    def _align(self, operand: Tensor, number: int) -> Tensor:
        zero_point, mantissa, shift = (
            part[number] for part in (self.zero_points, self.mantissa, self.shift)
        )
        return in_blocks(
            lambda codes: multiply(codes - zero_point, mantissa, shift).to(torch.int32), operand
        )

    def extra_repr(self) -> str:
        """Show the common scale when the model is printed."""
        return f"{len(self.mantissa)} operands, at scale {float(self.scale):.3g}"


class IntegerSum(_Aligned):
    """The sum of two tensors of codes, or their difference; int32 at the scale ``scale``.

    Args:
        scales: of both operands.
        zero_points: of both operands.
        minus: subtract the second.
    """

    def __init__(
        self, scales: Sequence[Tensor], zero_points: Sequence[Tensor], *, minus: bool = False
    ) -> None:
        super().__init__(scales, zero_points)
        self.minus = minus

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return first + second, or first - second."""
        second = self._align(second, 1)
        return self._align(first, 0).add(second, alpha=-1 if self.minus else 1)


class IntegerConcat(_Aligned):
    """Tensors of codes one behind the other, at a common scale; int32.

    Args:
        scales: of each operand.
        zero_points: of each operand.
        dim: along which they are joined.
    """

    def __init__(
        self, scales: Sequence[Tensor], zero_points: Sequence[Tensor], *, dim: int = 0
    ) -> None:
        super().__init__(scales, zero_points)
        self.dim = dim

    def forward(self, *operands: Tensor) -> Tensor:
        """Return the operands joined along ``dim``."""
        aligned = [self._align(operand, number) for number, operand in enumerate(operands)]
        return torch.cat(aligned, self.dim)

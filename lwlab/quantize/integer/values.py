"""What a tensor of the integer program means: codes, sums, or real numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, fx

from lwlab.quantize.activations import FakeQuantizeActivation

__all__ = ["Codes", "Real", "Sums", "Value"]


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes on the grid of an activation quantizer: ``(code - zero_point) * scale``.

    Attributes:
        node: of the integer program.
        quantizer: whose grid it is.
    """

    node: fx.Node
    quantizer: FakeQuantizeActivation

    @property
    def scale(self) -> Tensor:
        """The step of the grid, float32, ()."""
        return self.quantizer.scale.detach()

    @property
    def zero_point(self) -> Tensor:
        """The code of 0, int32, ()."""
        return self.quantizer.zero_point.detach()

    @property
    def largest(self) -> int:
        """The largest magnitude of a code less the zero point."""
        zero_point = int(self.zero_point)
        return max(self.quantizer.quant_max - zero_point, zero_point - self.quantizer.quant_min)


@dataclass(frozen=True, eq=False)
class Sums:
    """int32 sums whose zero is 0: ``sum * scale``.

    Attributes:
        node: of the integer program.
        scale: float64, () or (channels,).
        axis: of the channels.
    """

    node: fx.Node
    scale: Tensor
    axis: int = 1


@dataclass(frozen=True, eq=False)
class Real:
    """Real numbers, or no numbers at all.

    Attributes:
        node: of the integer program.
    """

    node: fx.Node


Value = Codes | Sums | Real

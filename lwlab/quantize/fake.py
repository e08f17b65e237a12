"""The FakeQuantize parametrization: how a model computes with quantized weights and trains on.

    effective weight = fake_quantize(original, scale, zero_point)

The optimizer moves the float ``original``; the forward pass sees only values on the grid. Backward,
the gradient passes the rounding as if it were not there (straight-through, see ``rounding``).

It stacks on a pruning mask, ``weight = FakeQuantize(Mask(original))``: 0 is on the grid, so what is
pruned stays exactly 0. torch keeps the parts at ``module.parametrizations.weight``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lwlab.packing.rows import Rows
from lwlab.packing.stored import ScaledCodes
from lwlab.quantize.affine import fake_quantize, quantize
from lwlab.quantize.granularity import Granularity, PerChannel, PerGroup, PerTensor
from lwlab.quantize.observers import Observer
from lwlab.quantize.rounding import round_straight_through
from lwlab.quantize.tensor import TERNARY, QuantizedTensor, quantize_tensor

__all__ = [
    "FakeLowBit",
    "FakeQuantize",
    "make_fake",
]


class FakeQuantize(nn.Module):
    """Move a weight onto an evenly spaced grid of 1 to 8 bits.

    The scales follow the weight while it trains, as the running statistics of a BatchNorm follow
    its inputs: they are found anew at each forward pass in training mode that wants gradients,
    and stay as they are in evaluation mode. Measuring changes nothing.

    Args:
        weight: what to find the first scales for; floating point, finite.
        num_bits: 1 to 8.
        granularity: which weights share a scale.
        symmetric: fix the zero point in the middle.
        range_rule: an observer; it is not changed.
        follow: find the scales anew in training. False keeps them, which is faster, and all there
            is to do where a costly ``range_rule`` was used once.

    Attributes:
        scale: float32, (groups,).
        zero_point: int32, (groups,).
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(
        self,
        weight: Tensor,
        *,
        num_bits: int | str,
        granularity: Granularity,
        symmetric: bool,
        range_rule: Observer,
        follow: bool = True,
    ) -> None:
        super().__init__()
        self.num_bits = num_bits
        self.granularity = granularity
        self.symmetric = symmetric
        self.range_rule = range_rule
        self.follow = follow
        quantized = self._quantize(weight)
        self.quant_min, self.quant_max = quantized.quant_min, quantized.quant_max
        self.register_buffer("scale", quantized.scale)
        self.register_buffer("zero_point", quantized.zero_point)

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``weight`` on the grid; its gradient is that of ``weight``, 0 where clipped."""
        if self.follow and self.training and torch.is_grad_enabled():
            self.update_(weight)
        return fake_quantize(weight, *self._spread(weight.shape), **self._ends())

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the original to store when a value is assigned to the quantized weight."""
        return weight

    def update_(self, weight: Tensor) -> None:
        """Find the scales and zero points for ``weight``."""
        quantized = self._quantize(weight)
        # New buffers, not new values in the old ones: a backward pass under way keeps its own.
        self.scale, self.zero_point = quantized.scale, quantized.zero_point

    def quantized(self, weight: Tensor) -> QuantizedTensor:
        """Return the codes that ``forward`` gives ``weight`` in evaluation mode."""
        codes = quantize(weight.detach(), *self._spread(weight.shape), **self._ends())
        return QuantizedTensor(
            codes,
            self.scale,
            self.zero_point,
            self.granularity,
            self.num_bits,
            **self._ends(),
            symmetric=self.symmetric,
            dtype=weight.dtype,
        )

    def stored_form(self, weight: Tensor) -> ScaledCodes | None:
        """Return the codes of ``weight`` as a packed file wants them; None where it has none.

        Asked by ``packing.to_bytes``. NaN has no code, and a granularity of your own no form in
        the file: the weight is then stored as any float tensor.
        """
        rows = _stored_rows(self.granularity, weight.dim())
        if rows is None or bool(weight.isnan().any()):
            return None
        quantized = self.quantized(weight)
        bits = quantized.num_bits
        if not isinstance(bits, int):  # one per output channel, which may have several groups
            groups = quantized.scale.numel() // len(bits)
            bits = torch.tensor(bits).repeat_interleave(groups)
        return ScaledCodes(quantized.codes, quantized.scale, quantized.zero_point, bits, rows)

    def _quantize(self, weight: Tensor) -> QuantizedTensor:
        return quantize_tensor(
            weight,
            self.num_bits,
            self.granularity,
            symmetric=self.symmetric,
            range_rule=self.range_rule,
        )

    def _spread(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        spread = self.granularity.spread
        return spread(self.scale, shape), spread(self.zero_point, shape)

    def _ends(self) -> dict[str, int]:
        return {"quant_min": self.quant_min, "quant_max": self.quant_max}

    def extra_repr(self) -> str:
        """Show the bits and the granularity when the model is printed."""
        bits = self.num_bits if self.num_bits == TERNARY else f"{self.num_bits} bits"
        return f"{bits}, {self.granularity}, {self.scale.numel():,} scales"


class FakeLowBit(FakeQuantize):
    """Make a weight binary (-a, a) or ternary (-a, 0, a), by the rules in ``low_bit``.

    Codes and scales come from the weight at each use, in evaluation mode too: the rules are cheap
    and leave nothing to choose. The gradient passes unchanged, nothing is clipped. The buffers
    hold the scales of the weight that it was made for, or of the last ``update_``.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Return the two or three values of each group; its gradient is that of ``weight``."""
        return round_straight_through(weight, lambda values: self.quantized(values).dequantize())

    def quantized(self, weight: Tensor) -> QuantizedTensor:
        """Return the codes that ``forward`` gives ``weight``."""
        return self._quantize(weight)


def _stored_rows(granularity: Granularity, rank: int) -> Rows | None:
    """Return ``granularity`` as a packed file says it; None for one of another kind."""
    if isinstance(granularity, PerTensor):
        return Rows()
    if isinstance(granularity, PerChannel):
        return Rows(granularity.axis % rank)
    if isinstance(granularity, PerGroup):
        return Rows(granularity.axis % rank, granularity.size)
    return None


def make_fake(weight: Tensor, num_bits: int | str, symmetric: bool, **settings) -> FakeQuantize:
    """Return the parametrization for ``num_bits``; the settings are those of ``FakeQuantize``."""
    low_bit = num_bits == TERNARY or (num_bits == 1 and symmetric)
    kind = FakeLowBit if low_bit else FakeQuantize
    return kind(weight, num_bits=num_bits, symmetric=symmetric, **settings)

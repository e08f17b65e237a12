"""The quantizer of one activation: a module that stands in the graph where the tensor is stored.

    out = fake_quantize(x, scale, zero_point)

One scale for the whole tensor: a scale per channel would have to be undone inside the sum of the
next layer, which integer arithmetic cannot. Asymmetric by default: after a ReLU nothing is below 0,
and a symmetric grid would waste half of its codes.

In training the range follows the activations:

    extremes <- extremes + momentum (extremes of the batch - extremes)
    low, high = share * extremes

``share`` is what the range rule kept of the smallest and the largest value when it was calibrated:
1 for ``MinMax``, less for a rule that clips. So any rule can follow, at the cost of min-max.

Source: Jacob et al. 2018, arXiv:1712.05877, section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lwlab.checks import check_number
from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.grid import Grid, choose_qparams
from lwlab.quantize.observers import MinMax, Observer

__all__ = ["FakeQuantizeActivation"]


class FakeQuantizeActivation(nn.Module):
    """Move an activation onto an evenly spaced grid of 1 to 8 bits, one scale for all of it.

    Its scale follows in training, and stays in evaluation mode: measuring changes nothing.

    Args:
        low: lower end of the range.
        high: upper end of the range.
        num_bits: 1 to 8; from 2 on if symmetric.
        symmetric: fix the zero point in the middle.
        range_rule: what found the range; kept for the reader.
        extremes: the smallest and the largest value seen; the range itself if None.
        follow: let the range follow in training.
        momentum: weight of the newest batch, above 0 and at most 1.

    Attributes:
        scale: float32, ().
        zero_point: int32, ().
        extremes: float32, (2,): running smallest and largest value.
        share: float32, (2,): the part of the extremes that the range spans.
        quant_min: smallest code.
        quant_max: largest code.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    scale: Tensor
    zero_point: Tensor
    extremes: Tensor
    share: Tensor

    def __init__(
        self,
        low: Tensor | float,
        high: Tensor | float,
        *,
        num_bits: int = 8,
        symmetric: bool = False,
        range_rule: Observer | None = None,
        extremes: Tensor | None = None,
        follow: bool = True,
        momentum: float = 0.01,
    ) -> None:
        super().__init__()
        self.grid = Grid(num_bits, symmetric)
        self.num_bits, self.symmetric = self.grid.num_bits, bool(symmetric)
        self.quant_min, self.quant_max = self.grid.quant_min, self.grid.quant_max
        self.range_rule = MinMax() if range_rule is None else range_rule.fresh()
        self.follow = bool(follow)
        self.momentum = check_number("momentum", momentum, above=0, maximum=1)
        ends = torch.stack([torch.as_tensor(end).float().reshape(()) for end in (low, high)])
        scale, zero_point = choose_qparams(*ends, self.grid)
        self.register_buffer("scale", scale)
        self.register_buffer("zero_point", zero_point)
        self.register_buffer("extremes", ends.clone() if extremes is None else extremes.float())
        share = torch.where(self.extremes == 0, 1.0, ends / self.extremes)
        self.register_buffer("share", share)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` on the grid; its gradient is that of ``x``, 0 where clipped."""
        if self.follow and self.training and torch.is_grad_enabled():
            self.update_(x)
        ends = {"quant_min": self.quant_min, "quant_max": self.quant_max}
        return fake_quantize(x, self.scale, self.zero_point, **ends)

    @torch.no_grad()
    def update_(self, x: Tensor) -> None:
        """Let the range follow ``x``. A batch that is not finite is left to the loss to report."""
        seen = torch.stack(x.detach().float().aminmax())
        if not bool(torch.isfinite(seen).all()):
            return
        # New buffers, not new values in the old ones: a backward pass under way keeps its own.
        self.extremes = self.extremes.lerp(seen, self.momentum)
        self.scale, self.zero_point = choose_qparams(*(self.extremes * self.share), self.grid)

    def extra_repr(self) -> str:
        """Show the grid when the model is printed."""
        return f"{self.num_bits} bits, scale {float(self.scale):.3g}, zero {int(self.zero_point)}"

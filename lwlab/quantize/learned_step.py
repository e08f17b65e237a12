"""LSQ: the step between two neighbours of the grid is learned along with the weights.

    steps = clamp(x / s, -Qn, Qp)        Qn = zero_point - quant_min,  Qp = quant_max - zero_point
    x_hat = round(steps) * s

    d x_hat / d x = 1 inside the grid                    0 where x is clipped
    d x_hat / d s = round(x / s) - x / s inside          -Qn or Qp where x is clipped

    start     s = 2 mean|x| / sqrt(Qp)
    balance   the gradient of s is multiplied by g = 1 / sqrt(N Qp), N values behind one step

A step that follows the largest weight is right for that one. A learned step weighs what clipping
costs against what coarse steps cost, by the loss of the whole network. The gradient of s sums over
N values, so without g a step would move so far in one update that training does not settle.

What is stored is log(s). So a step stays positive whatever the optimizer does, and Adam, whose
updates have the same length for all parameters, moves each step by a share of itself. Handed to
log(s) is ``g / s * d loss / d s``: plain gradient descent then moves s by ``-rate * g * d loss /
d s``, to first order, as in the paper.

Source: Esser et al. 2020, "Learned step size quantization", arXiv:1902.08153, section 2.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.tensor import TERNARY, QuantizedTensor

__all__ = ["STARTS", "LearnedStep", "learned_fake_quantize", "positive_step", "reach_of"]

STARTS = ("mean", "current")
_SMALLEST, _LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


class _OnGrid(torch.autograd.Function):
    """The forward pass of ``fake_quantize`` with the gradients above."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, step: Tensor, low: Tensor, high: Tensor, _rounding: bool) -> Tensor:
        return (torch.clamp(torch.round(x * (1 / step)), low, high) + 0.0) * step

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, step, low, high, ctx.rounding = inputs
        ctx.save_for_backward(x, step, low, high)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        x, step, low, high = ctx.saved_tensors
        ratio = x * (1 / step)
        inside = (ratio > low) & (ratio < high)
        for_x = gradient * inside if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return for_x, None, None, None, None
        error = torch.round(ratio) - ratio if ctx.rounding else 0.0
        slope = torch.where(inside, error, torch.clamp(ratio, low, high))
        return for_x, (gradient * slope).sum_to_size(step.shape), None, None, None


def learned_fake_quantize(
    x: Tensor,
    step: Tensor,
    zero_point: Tensor,
    *,
    quant_min: int,
    quant_max: int,
    through_rounding: bool = True,
) -> Tensor:
    """Return ``fake_quantize(x, step, zero_point)``, bit for bit, with the gradients of LSQ.

    Those of ``fake_quantize`` differ at the ends: there a value counts as inside if it rounds to
    the last code; here only if it lies below it. At 2 bits this half step is much of the grid.

    >>> x, step = torch.tensor([0.3, 1.2, 9.0]), torch.tensor(1.0, requires_grad=True)
    >>> learned_fake_quantize(x, step, torch.tensor(0), quant_min=-2, quant_max=1).sum().backward()
    >>> step.grad  # -0.3 inside, and twice the last code
    tensor(1.7000)

    Args:
        x: floating point, any shape. float16 and bfloat16 are computed in float32.
        step: above 0; broadcasts against ``x``.
        zero_point: int32, in [quant_min, quant_max]; as ``step``.
        quant_min: smallest code.
        quant_max: largest code.
        through_rounding: False leaves out the gradient of the step from inside the grid (PACT).

    Returns:
        A tensor of the shape and dtype of ``x``.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    low, high = ((end - zero_point).to(wide.dtype) for end in (quant_min, quant_max))
    return _OnGrid.apply(wide, step.to(wide.dtype), low, high, through_rounding).to(x.dtype)


def positive_step(log_step: Tensor, gradient_scale: Tensor | float = 1.0) -> Tensor:
    """Return ``exp(log_step)``, of which ``log_step`` gets ``gradient_scale / step * gradient``.

    Args:
        log_step: any shape.
        gradient_scale: g; a number, or of the same shape.

    Returns:
        Steps, float32 at least, none so small that 1 / step is infinite.
    """
    log_step = log_step.to(torch.promote_types(log_step.dtype, torch.float32))
    step = torch.exp(log_step.detach()).clamp(_SMALLEST, _LARGEST)
    # The difference is 0: it is there for its gradient alone.
    return step + (log_step - log_step.detach()) * (gradient_scale / step)


def reach_of(zero_point: Tensor, quant_min: int, quant_max: int, *, symmetric: bool) -> Tensor:
    """Return Qp, the steps from 0 to the largest code; on an asymmetric grid to the farther end.

    For a grid from 0 up, as after a ReLU, both are ``quant_max - quant_min``.
    """
    up, down = quant_max - zero_point, zero_point - quant_min
    return up if symmetric else torch.maximum(up, down)


class LearnedStep(FakeQuantize):
    """A ``FakeQuantize`` whose scales are parameters. The zero points stay.

    Args:
        fake: what it takes the place of; of 2 to 8 bits, ternary, or asymmetric with 1 bit.
        weight: what to find the first steps for.
        start: ``"mean"`` for 2 mean|w| / sqrt(Qp), the mean over the weights that are not 0, so
            that pruned ones have no say; ``"current"`` for the scales of ``fake``.

    Attributes:
        start: as given.
        log_step: parameter, (groups,): the logarithms of the steps.
        scale: float32, (groups,): the steps; detached.
        zero_point: int32, (groups,).

    Raises:
        ValueError: ``start`` is neither.
    """

    def __init__(self, fake: FakeQuantize, weight: Tensor, *, start: str = "mean") -> None:
        nn.Module.__init__(self)  # past FakeQuantize's own, which makes the scale a buffer
        self.start = check_choice("start", start, STARTS)
        self.num_bits, self.granularity = fake.num_bits, fake.granularity
        self.symmetric, self.range_rule, self.follow = fake.symmetric, fake.range_rule, False
        self.quant_min, self.quant_max = fake.quant_min, fake.quant_max
        self.register_buffer("zero_point", fake.zero_point.detach().clone())
        self.log_step = nn.Parameter(fake.scale.detach().float().log())
        if start == "mean":
            self.update_(weight)

    @property
    def scale(self) -> Tensor:
        """The steps, float32, (groups,)."""
        return positive_step(self.log_step.detach())

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``weight`` on the grid, differentiable in ``weight`` and in the steps."""
        reach = self._reach()
        values = weight.numel() / reach.numel()
        step = positive_step(self.log_step, (values * reach).rsqrt())
        spread = self.granularity.spread
        shape = tuple(weight.shape)
        return learned_fake_quantize(
            weight, spread(step, shape), spread(self.zero_point, shape), **self._ends()
        )

    @torch.no_grad()
    def update_(self, weight: Tensor) -> None:
        """Start anew for ``weight``: 2 mean|w| / sqrt(Qp). A group of zeros keeps its steps."""
        rows = self.granularity.rows(weight.detach().float().abs())
        mean = rows.sum(dim=1) / (rows > 0).sum(dim=1).clamp(min=1)
        start = 2 * mean / self._reach().sqrt()
        self.log_step.copy_(torch.where(start > 0, start, self.scale).log())

    def quantized(self, weight: Tensor) -> QuantizedTensor:
        """Return the codes that ``forward`` gives ``weight``."""
        found = super().quantized(weight)
        bits = 2 if self.num_bits == TERNARY else self.num_bits
        return dataclasses.replace(found, num_bits=bits)

    def _reach(self) -> Tensor:
        return reach_of(
            self.zero_point, self.quant_min, self.quant_max, symmetric=self.symmetric
        ).float()

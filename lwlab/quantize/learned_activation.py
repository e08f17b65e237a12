"""Activation quantizers that learn: the step (LSQ), or the value they clip at (PACT).

    LSQ     x_hat = round(clamp(x / s, -Qn, Qp)) * s       d x_hat / d s as for weights
    PACT    s = clip / Qp, the same x_hat                  d x_hat / d clip = 1 where x >= clip
                                                           and 0 below it

Both compute the same and differ in what moves the grid. PACT hears only what it cuts off, which
asks for a wider grid or a narrower one as the loss wants, and is held back by a penalty on clip².
LSQ also hears the error of rounding inside.

What PACT's paper says of grids from 0 up holds here for all: on a grid that reaches below 0 the
lower end moves along, and what is cut off there adds ``-Qn / Qp``. The zero points stay.

Sources: Esser et al. 2020, "Learned step size quantization", arXiv:1902.08153; Choi et al. 2018,
"PACT: Parameterized clipping activation for quantized neural networks", arXiv:1805.06085.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_number
from lwlab.quantize.activations.activation import FakeQuantizeActivation
from lwlab.quantize.learned_step import STARTS, learned_fake_quantize, positive_step, reach_of

__all__ = ["ClipPenalty", "LearnedClipActivation", "LearnedStepActivation"]


class _LearnedActivation(FakeQuantizeActivation):
    """What both have in common: the grid of the quantizer they take the place of."""

    zero_point: Tensor

    def __init__(self, fake: FakeQuantizeActivation) -> None:
        nn.Module.__init__(self)  # past its own, which makes the scale a buffer
        self.grid, self.num_bits, self.symmetric = fake.grid, fake.num_bits, fake.symmetric
        self.quant_min, self.quant_max = fake.quant_min, fake.quant_max
        self.range_rule, self.follow = fake.range_rule, False
        self.register_buffer("zero_point", fake.zero_point.detach().clone())
        self.train(fake.training)

    def _reach(self) -> Tensor:
        return reach_of(
            self.zero_point, self.quant_min, self.quant_max, symmetric=self.symmetric
        ).float()

    def _on_grid(self, x: Tensor, step: Tensor, *, through_rounding: bool = True) -> Tensor:
        return learned_fake_quantize(
            x,
            step,
            self.zero_point,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            through_rounding=through_rounding,
        )


class LearnedStepActivation(_LearnedActivation):
    """An activation quantizer whose step is a parameter (LSQ).

    Args:
        fake: what it takes the place of; calibrated.
        start: ``"mean"``: the first batch in training sets the step to 2 mean|x| / sqrt(Qp), as in
            the paper; until then it is that of ``fake``. ``"current"``: it stays at that of
            ``fake``.

    Attributes:
        start: as given.
        log_step: parameter, (): the logarithm of the step.
        scale: float32, (): the step; detached.
        zero_point: int32, ().
        started: bool, (): whether the step is one to be trained from.

    Raises:
        ValueError: ``start`` is neither.
    """

    started: Tensor

    def __init__(self, fake: FakeQuantizeActivation, *, start: str = "mean") -> None:
        super().__init__(fake)
        self.start = check_choice("start", start, STARTS)
        self.log_step = nn.Parameter(fake.scale.detach().float().log())
        self.register_buffer("started", torch.tensor(start == "current"))

    @property
    def scale(self) -> Tensor:
        """The step, float32, ()."""
        return positive_step(self.log_step.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` on the grid, differentiable in ``x`` and in the step."""
        if self.training and torch.is_grad_enabled() and not self.started:
            self.update_(x)
        # N is the values of one example: that many neurons share the step.
        values = max(1, x.numel() // max(1, len(x))) if x.dim() else 1
        return self._on_grid(x, positive_step(self.log_step, (values * self._reach()).rsqrt()))

    @torch.no_grad()
    def update_(self, x: Tensor) -> None:
        """Start anew for ``x``: 2 mean|x| / sqrt(Qp). Nothing but zeros changes nothing."""
        step = 2 * x.abs().float().mean() / self._reach().sqrt()
        if step > 0:
            self.log_step.copy_(step.log())
            self.started = torch.ones_like(self.started)


class LearnedClipActivation(_LearnedActivation):
    """An activation quantizer that learns the value it clips at (PACT).

    The clip starts where the grid of ``fake`` ends, and is trained together with ``ClipPenalty``.

    Args:
        fake: what it takes the place of; calibrated.

    Attributes:
        log_clip: parameter, (): the logarithm of the clip.
        scale: float32, (): clip / Qp; detached.
        zero_point: int32, ().
    """

    def __init__(self, fake: FakeQuantizeActivation) -> None:
        super().__init__(fake)
        self.log_clip = nn.Parameter((fake.scale.detach().float() * self._reach()).log())

    @property
    def clip(self) -> Tensor:
        """The value at the far end of the grid, (); differentiable."""
        return positive_step(self.log_clip)

    @property
    def scale(self) -> Tensor:
        """The step, float32, ()."""
        return self.clip.detach() / self._reach()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` on the grid, differentiable in ``x`` and in the clip."""
        return self._on_grid(x, self.clip / self._reach(), through_rounding=False)

    @torch.no_grad()
    def update_(self, x: Tensor) -> None:
        """Start anew for ``x``: clip at the largest |x|. Nothing but zeros changes nothing."""
        largest = x.abs().float().max() if x.numel() else torch.zeros(())
        if largest > 0:
            self.log_clip.copy_(largest.log())


class ClipPenalty:
    """A penalty for ``fit``: ``strength`` times the sum of clip² over all learned clips.

    The paper takes as strength the weight decay of the weights. The gradient of a clip is that of
    its square, 2 strength clip.

    Args:
        strength: at least 0.

    Raises:
        TypeError, ValueError: ``strength`` is not a finite number of at least 0.
    """

    def __init__(self, strength: float) -> None:
        self.strength = check_number("strength", strength, minimum=0)

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of ``model``; 0 where it has no learned clip."""
        clips = [m.clip for m in model.modules() if isinstance(m, LearnedClipActivation)]
        return self.strength * sum((clip.square() for clip in clips), torch.zeros(()))

"""AdaRound: learn for each weight whether to round up or down, by the outputs of its layer.

Nearest is best for each weight alone, and not for their sum: two errors of the same sign add up,
of different signs they cancel. AdaRound looks at the outputs for some inputs X:

    minimize   |f(X, W) - f(X, W~)|^2 / |f(X, W)|^2  +  strength * mean (1 - |2 h - 1|^beta)

    W~ = scale * clamp(floor(W / scale) + h + zero_point, ...)         soft-rounded weight
    h  = clamp(1.2 sigmoid(v) - 0.1, 0, 1)                             0: down, 1: up; v is learned

The second term is 0 where h is 0 or 1, and pushes it there. beta falls from 20 to 2: a high beta
is flat but at the ends and lets h move, a low one decides. It is switched on after a fifth of the
steps. In the end h is rounded, so that each code is floor or floor + 1.

Source: Nagel et al. 2020, "Up or down? Adaptive rounding for post-training quantization",
arXiv:2004.10568, section 3 and equations 21 to 25.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_count, check_finite, check_number
from lwlab.quantize.affine import dequantize, quantize

__all__ = ["LayerFunction", "learn_rounding", "rectified_sigmoid", "rounding_penalty"]

LayerFunction = Callable[[Tensor, Tensor], Tensor]  # (inputs, weight) -> outputs

_STRETCH_LOW, _STRETCH_HIGH = -0.1, 1.1  # gamma and zeta of the paper
_WARM_UP = 0.2  # fraction of the steps without the penalty
_FIRST_BETA, _LAST_BETA = 20.0, 2.0


def rectified_sigmoid(v: Tensor) -> Tensor:
    """Return ``clamp(1.2 sigmoid(v) - 0.1, 0, 1)``: it reaches 0 and 1, unlike a sigmoid.

    >>> rectified_sigmoid(torch.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    stretched = torch.sigmoid(v) * (_STRETCH_HIGH - _STRETCH_LOW) + _STRETCH_LOW
    return stretched.clamp(0, 1)


def rounding_penalty(h: Tensor, beta: float) -> Tensor:
    """Return ``mean (1 - |2 h - 1|^beta)``: 0 if all h are 0 or 1, and 1 if all are 1/2.

    The paper takes the sum; with the mean, as with relative errors, one strength serves layers of
    any size.
    """
    return (1 - (2 * h - 1).abs().pow(beta)).mean()


@dataclass(frozen=True)
class _Problem:
    """One layer: what must be approximated, and on which grid."""

    weight: Tensor
    inputs: Tensor
    forward: LayerFunction
    scale: Tensor
    zero_point: Tensor
    quant_min: int
    quant_max: int

    def soft_weight(self, h: Tensor) -> Tensor:
        """Return the weight that is rounded up by the fraction h."""
        steps = torch.floor(self.weight / self.scale) + h
        low, high = self.quant_min - self.zero_point, self.quant_max - self.zero_point
        return torch.clamp(steps, low.to(steps.dtype), high.to(steps.dtype)) * self.scale

    def codes(self, up: Tensor) -> Tensor:
        """Return the codes for up (1) and down (0)."""
        return quantize(
            self.weight,
            self.scale,
            self.zero_point,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            # Up is the same weight as in soft_weight: quantize multiplies by 1 / scale, which can
            # round to the other side of a whole number.
            rounding=lambda _: torch.floor(self.weight / self.scale) + up,
        )

    @torch.no_grad()
    def error(self, codes: Tensor) -> float:
        """Return the mean squared error of the outputs over all inputs."""
        rounded = dequantize(codes, self.scale, self.zero_point)
        moved = self.forward(self.inputs, rounded) - self.forward(self.inputs, self.weight)
        return moved.square().mean(dtype=torch.float64).item()


def learn_rounding(
    weight: Tensor,
    inputs: Tensor,
    forward: LayerFunction,
    *,
    scale: Tensor | float,
    zero_point: Tensor | int = 0,
    quant_min: int,
    quant_max: int,
    steps: int = 1000,
    batch_size: int = 32,
    learning_rate: float = 0.03,
    strength: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Return the codes of ``weight``, each rounded up or down so that the outputs change least.

    The result is never worse than nearest on ``inputs``: where nothing better was learned, it is
    nearest. (With few inputs it may still be worse on others; a few hundred are usual.)

    Example:
        A convolution with one scale per output channel::

            quantized = quantize_tensor(conv.weight, 4, PerChannel())
            codes = learn_rounding(
                conv.weight, images, lambda x, w: F.conv2d(x, w, padding=1),
                scale=quantized.granularity.spread(quantized.scale, conv.weight.shape),
                quant_min=-8, quant_max=7,
            )

    Args:
        weight: floating point, any shape.
        inputs: what the layer is fed with in the model, from training data; (samples, ...).
        forward: ``(inputs, weight) -> outputs``, such as ``F.linear``. A bias makes no difference;
            an activation that follows the layer may be part of it.
        scale: a number, or a tensor that broadcasts against ``weight``.
        zero_point: int32, as ``scale``.
        quant_min: smallest code.
        quant_max: largest code.
        steps: of Adam, each on one batch.
        batch_size: inputs per step, drawn at random.
        learning_rate: of Adam.
        strength: weight of the mean penalty per weight, above 0, against an output error in units
            of the mean squared output.
        seed: of the batches.

    Returns:
        Codes, int32, of the shape of ``weight``.

    Raises:
        TypeError, ValueError: as ``quantize``; or the inputs are empty or not finite, or a setting
            is out of range.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() == 0 or inputs.numel() == 0:
        got = f"shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else repr(inputs)
        raise ValueError(f"inputs must hold at least one sample, got {got}.")
    check_finite("inputs", inputs)
    weight = check_finite("weight", weight.detach())
    scale = torch.as_tensor(scale, dtype=torch.float32)
    problem = _Problem(
        weight, inputs, forward, scale, torch.as_tensor(zero_point), quant_min, quant_max
    )
    nearest = quantize(weight, scale, zero_point, quant_min=quant_min, quant_max=quant_max)
    settings = {
        "strength": check_number("strength", strength, above=0),
        "learning_rate": check_number("learning_rate", learning_rate, above=0),
        "steps": check_count("steps", steps),
    }
    batches = _batches(len(inputs), check_count("batch_size", batch_size), seed)
    learned = problem.codes((_learn(problem, batches, **settings) >= 0.5).to(weight.dtype))
    return learned if problem.error(learned) < problem.error(nearest) else nearest


def _learn(
    problem: _Problem,
    batches: Iterator[Tensor],
    *,
    steps: int,
    learning_rate: float,
    strength: float,
) -> Tensor:
    """Return h after training."""
    v = _start(problem).requires_grad_()
    optimizer = torch.optim.Adam([v], lr=learning_rate)
    with torch.no_grad():
        wanted = problem.forward(problem.inputs, problem.weight)
    # In units of the outputs, so that one strength serves layers of any scale.
    unit = wanted.square().mean().clamp(min=torch.finfo(wanted.dtype).tiny)
    for step in range(steps):
        batch = next(batches)
        h = rectified_sigmoid(v)
        outputs = problem.forward(problem.inputs[batch], problem.soft_weight(h))
        loss = (outputs - wanted[batch]).square().mean() / unit
        if step >= _WARM_UP * steps:
            loss = loss + strength * rounding_penalty(h, _beta(step / steps))
        optimizer.zero_grad()
        (v.grad,) = torch.autograd.grad(loss, v)
        optimizer.step()
    return rectified_sigmoid(v.detach())


def _start(problem: _Problem) -> Tensor:
    """Return the v at which h is the fraction of the weight, so that W~ begins as W."""
    steps = problem.weight / problem.scale
    fraction = (steps - torch.floor(steps)).clamp(0.01, 0.99)
    return torch.logit((fraction - _STRETCH_LOW) / (_STRETCH_HIGH - _STRETCH_LOW))


def _beta(progress: float) -> float:
    """Return beta for a progress from 0 to 1: from the first to the last by half a cosine."""
    after = max(0.0, (progress - _WARM_UP) / (1 - _WARM_UP))
    cosine = 0.5 * (1 + torch.cos(torch.tensor(after * torch.pi)).item())
    return _LAST_BETA + (_FIRST_BETA - _LAST_BETA) * cosine


def _batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    """Yield random indices for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randint(count, (min(size, count),), generator=generator)

"""Rounding: from a number between two codes to one of them.

    nearest      the closer code; from exactly between, the even one    (torch.round, IEEE 754)
    stochastic   up with the probability of the fraction: 2.3 -> 3 in 30 % of all cases

Nearest has the smallest error for each weight. Stochastic has a larger one, but is right on average
(unbiased): many small steps that nearest would swallow add up. Learned rounding, which looks at the
outputs of the layer instead of the weights, is in ``adaround``.

Every one is piecewise constant, so its gradient is zero almost everywhere, and training would stand
still. ``round_straight_through`` rounds on the way forward and pretends on the way back that it
did nothing: the straight-through estimator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

__all__ = ["Rounding", "round_nearest", "round_stochastic", "round_straight_through", "stochastic"]

Rounding = Callable[[Tensor], Tensor]


def round_nearest(x: Tensor) -> Tensor:
    """Return the nearest whole numbers; from exactly between two, the even one.

    >>> round_nearest(torch.tensor([0.5, 1.5, 2.5, -0.6]))
    tensor([ 0.,  2.,  2., -1.])

    Half to even, because half always up would move the mean of many values upwards.
    """
    return torch.round(x)


def round_stochastic(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return ``floor(x) + 1`` with probability ``x - floor(x)``, else ``floor(x)``.

    Its mean is x. A whole number stays as it is.

    Args:
        x: floating point, any shape.
        generator: source of the randomness; the same state gives the same result.

    Source: Gupta et al. 2015, "Deep learning with limited numerical precision", arXiv:1502.02551.
    """
    down = torch.floor(x)
    # In float64: at float16 a random number has 11 bits and the mean would show it.
    chance = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=x.device)
    return down + (chance < (x - down)).to(x.dtype)


def stochastic(seed: int = 0) -> Rounding:
    """Return stochastic rounding as a function of x alone, with its own stream of randomness."""
    return partial(round_stochastic, generator=torch.Generator().manual_seed(seed))


class _StraightThrough(torch.autograd.Function):
    """Any rounding forward; the gradient passes unchanged."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, rounding: Rounding) -> Tensor:
        return rounding(x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        """Nothing has to be remembered."""

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def round_straight_through(x: Tensor, rounding: Rounding = round_nearest) -> Tensor:
    """Return ``rounding(x)``, with the gradient of ``x``: d out / d x = 1.

    Source: Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons",
    arXiv:1308.3432.
    """
    return _StraightThrough.apply(x, rounding)

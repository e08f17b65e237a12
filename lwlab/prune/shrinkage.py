"""Soft threshold: every weight moves toward zero by the same amount, and stops there.

    hard:  w                      where |w| >= t, else 0      (``masks.threshold_mask``)
    soft:  sign(w) (|w| - t)      where |w| >  t, else 0

Both set the small weights to zero. The hard cut leaves the others as they are and jumps at t; the
soft one is continuous, and pays for it: the large weights shrink as well.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.checks import check_finite, check_number

__all__ = ["soft_threshold"]


def soft_threshold(weight: Tensor, threshold: float) -> Tensor:
    """Return ``sign(w) max(|w| - threshold, 0)``.

    It is the answer v to "stay near w, at the price of an L1 penalty": the v that makes
    ``(v - w)^2 / 2 + threshold |v|`` smallest. Done after each plain gradient step, with
    ``threshold = learning_rate * strength``, it trains under an L1 penalty with *exact* zeros,
    which ``L1Penalty`` in the loss does not give.

    >>> soft_threshold(torch.tensor([3.0, -0.5, -2.0]), 1.0)
    tensor([ 2.,  0., -1.])

    Args:
        weight: floating point, any shape; differentiable in it.
        threshold: at least 0, in the weight's unit.

    Raises:
        TypeError: ``weight`` is not a tensor of floating-point numbers.
        ValueError: ``threshold`` is negative, or a weight is NaN or infinite.

    Source: Donoho 1995, "De-noising by soft-thresholding", IEEE Trans. Inf. Theory 41(3).
    """
    threshold = check_number("threshold", threshold, minimum=0)
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        kind = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
        raise TypeError(f"weight must be a floating-point tensor, got {kind}.")
    check_finite("weight", weight.detach())
    # Minus what lies within [-t, t]: the same as the formula, and never -0.0.
    limit = min(threshold, torch.finfo(weight.dtype).max)  # clamp refuses what float16 cannot hold
    return weight - weight.clamp(-limit, limit)

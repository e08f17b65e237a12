"""Whole channels by their norm: the importance of a filter, and masks that cut channel by channel.

    filter_norm:   norm[c] = (sum over channel c of |w|^p) ^ (1/p), for p = inf the largest |w|
    channel_mask:  False for all weights of the round(sparsity * n) channels of the smallest norm

A channel of zeros can be taken out of the model, and makes it smaller and faster; scattered zeros
cannot. Everything here is a pure function of tensors. Next: ``channels``, which takes them out.

Source: Li et al. 2017, "Pruning filters for efficient ConvNets", arXiv:1608.08710 (p = 1).
"""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from lwlab.checks import check_count, check_finite
from lwlab.prune.masks import topk_mask

__all__ = ["channel_mask", "filter_norm"]


@torch.no_grad()
def filter_norm(weight: Tensor, order: float = 2, axis: int = 0) -> Tensor:
    """Return the p-norm of each channel of ``weight``, ``(channels,)``, float64.

    >>> filter_norm(torch.tensor([[3.0, 4.0], [0.0, -1.0]]))
    tensor([5., 1.], dtype=torch.float64)

    Args:
        weight: ``(out, in)``, ``(out, in, *kernel)`` or any other shape with ``axis``.
        order: p, a number above 0; ``math.inf`` for the largest absolute value.
        axis: the dimension that counts the channels: 0 the outputs of a linear layer or
            convolution (and the inputs of a transposed one), 1 the other way round.

    Raises:
        TypeError: ``weight`` is not a tensor of floating-point numbers, or ``order`` no number.
        ValueError: a weight is NaN or infinite, ``order`` not above 0, or there is no such axis.
    """
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        kind = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
        raise TypeError(f"weight must be a floating-point tensor, got {kind}.")
    if weight.ndim == 0:
        raise ValueError("weight must have at least one dimension, got a single number.")
    axis = check_count("axis", axis, minimum=0, maximum=weight.ndim - 1)
    order = _check_order(order)
    channels = check_finite("weight", weight).double().movedim(axis, 0)
    rows = channels.reshape(len(channels), math.prod(channels.shape[1:]))
    if rows.shape[1] == 0:  # the largest of no values is not defined; a norm of nothing is 0
        return rows.new_zeros(len(rows))
    return torch.linalg.vector_norm(rows, order, dim=1)


def _check_order(order: float) -> float:
    if not isinstance(order, numbers.Real) or isinstance(order, bool):
        raise TypeError(f"order must be a number above 0 or math.inf, got {order!r}.")
    if not order > 0:
        raise ValueError(f"order must be a number above 0 or math.inf, got {order!r}.")
    return math.inf if order == math.inf else float(order)


def channel_mask(weight: Tensor, sparsity: float, *, order: float = 2, axis: int = 0) -> Tensor:
    """Prune exactly ``round(sparsity * n)`` of the n channels whole, those of the smallest norm.

    Counts and ties are those of ``topk_mask``: half to even, the earlier channel goes first. Where
    the count comes to n, nothing of the layer is left, and no signal passes it. For other scores
    than a norm there is ``spread_over_weight(topk_mask(scores, sparsity), weight)``.

    >>> channel_mask(torch.tensor([[3.0, 4.0], [0.0, -1.0]]), 0.5)
    tensor([[ True,  True],
            [False, False]])

    Args:
        weight: as for ``filter_norm``.
        sparsity: fraction in [0, 1) of the channels to prune.
        order: p of the norm.
        axis: the dimension that counts the channels.

    Returns:
        A mask of the weight's shape.

    Raises:
        TypeError: as for ``filter_norm``.
        ValueError: as for ``filter_norm``, or ``sparsity`` is outside [0, 1).
    """
    kept = topk_mask(filter_norm(weight, order, axis), sparsity)
    others = [1] * (weight.ndim - axis - 1)
    return kept.reshape(-1, *others).expand(weight.shape).contiguous()

"""Importance by the gradient: how much the loss would feel it if a weight went.

    Setting weight w to 0 changes the loss by about  -g w,  with g = dL/dw

    Taylor:  importance = mean over batches of (g w)^2
    SNIP:    importance = |g w| / sum of |g w| over all weights, g the mean gradient

Both need data, so they look at the whole model at once and return tensors by layer name, for
``mask_model_(model, sparsity=..., importance=...)``. Next: ``curvature``, the second order.

The gradient is that of the *effective* weight. On a masked model a pruned weight is 0 and scores
exactly 0, the lowest: at a higher sparsity it comes back only in place of another that scores 0,
such as a weight of a unit that no example wakes.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lwlab.checks import check_count
from lwlab.data import Split
from lwlab.prune.scoring import batches, scoring_copy
from lwlab.train import LossFunction, cross_entropy

__all__ = ["snip_importance", "taylor_importance"]


def taylor_importance(
    model: nn.Module,
    split: Split,
    *,
    batch_size: int = 64,
    loss: LossFunction = cross_entropy,
    layers: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Return the first-order Taylor importance of each weight, by layer name.

        importance_i = sum over batches b of  (n_b / N) (g_bi w_i)^2

    with ``g_b`` the gradient of the loss of batch b alone, and n_b of the N examples in it. The
    square is taken *before* the mean, batch by batch: at a minimum of the loss the mean gradient
    over all data is 0 for every weight, and so would be its square. So ``batch_size`` is part of
    the definition: 1 gives the mean over examples (the diagonal of the empirical Fisher matrix
    times w^2), the length of the split gives ``(mean gradient * w)^2``.

    The model runs in evaluation mode (dropout off, BatchNorm by its running statistics) and is
    left as it is. A layer that the loss does not depend on scores 0.

    Args:
        model: any module with convolutions or linear layers, masked or not, frozen or not.
        split: examples to score on, in this order; a few hundred of the training split will do.
        batch_size: examples for one gradient, at the most; the batches are of nearly equal size.
        loss: ``(outputs, batch) -> scalar``, as for ``train.fit``; a mean over the batch.
        layers: names of layers; None takes all convolutions and linear layers.

    Returns:
        Tensors of the shapes of the weights, at least 0, in squared units of the loss.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a layer does not exist or cannot be masked; the split is empty or does not fit
            the model; a loss or a gradient is not finite.

    Source: Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning",
    arXiv:1906.10771; there for whole filters.
    """
    batch_size = check_count("batch_size", batch_size)
    with scoring_copy(model, split, layers) as scored:
        total = {name: torch.zeros_like(w.detach()) for name, w in scored.weights.items()}
        for batch in batches(split, batch_size):
            share = len(batch.targets) / len(split)
            for name, gradient in scored.gradients(scored.loss(batch, loss)).items():
                total[name] += share * (gradient * scored.weights[name].detach()).square()
    return total


def snip_importance(
    model: nn.Module,
    split: Split,
    *,
    batch_size: int = 250,
    loss: LossFunction = cross_entropy,
    layers: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Return the connection sensitivity of each weight, by layer name, 1 in total.

        importance_i = |g_i w_i| / sum over all weights j of |g_j w_j|

    with g the gradient of the mean loss over the whole split. SNIP is meant for a model *before*
    training: prune once, then train what is left. BatchNorm therefore normalizes by the batch, as
    it will in training; its running statistics say nothing yet. Without BatchNorm ``batch_size``
    only bounds the memory. Dropout is off, and the model is left as it is.

    Args:
        model: any module with convolutions or linear layers, masked or not, frozen or not.
        split: examples to score on; the paper takes about ten for each class:
            ``dataset.train.take(100)``.
        batch_size: examples in one pass, at the most; the batches are of nearly equal size.
        loss: ``(outputs, batch) -> scalar``, as for ``train.fit``; a mean over the batch.
        layers: names of layers; None takes all convolutions and linear layers.

    Returns:
        Tensors of the shapes of the weights, at least 0, that sum to 1 over all layers.

    Raises:
        TypeError, ValueError: as for ``taylor_importance``; also if ``|g w|`` is 0 everywhere.

    Source: Lee et al. 2019, "SNIP: Single-shot Network Pruning based on Connection Sensitivity",
    arXiv:1810.02340.
    """
    batch_size = check_count("batch_size", batch_size)
    with scoring_copy(model, split, layers, batch_statistics=True) as scored:
        mean = {name: torch.zeros_like(w.detach()) for name, w in scored.weights.items()}
        for batch in batches(split, batch_size):
            share = len(batch.targets) / len(split)
            for name, gradient in scored.gradients(scored.loss(batch, loss)).items():
                mean[name] += share * gradient
        sensitivity = {name: (mean[name] * scored.weights[name].detach()).abs() for name in mean}
        total = sum(float(values.sum(dtype=torch.float64)) for values in sensitivity.values())
        if total == 0:
            raise ValueError(
                "model must have a weight whose removal changes the loss, got |gradient * weight| "
                "of 0 everywhere. Check that the weights are not all 0."
            )
        return {name: values / total for name, values in sensitivity.items()}

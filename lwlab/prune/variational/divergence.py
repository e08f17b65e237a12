"""How noisy a weight is, and what a weight has to pay for being certain.

    log alpha = log sigma^2 - log theta^2                      noise over signal, on a log scale
    KL        = 0.5 log(1 + 1 / alpha) + k1 - k1 sigmoid(k2 + k3 log alpha)

A weight is a bell curve here, with mean theta and variance sigma^2, instead of one number. The
relative variance ``alpha = sigma^2 / theta^2`` says how much the number means: at alpha = 0.01 a
weight wobbles by a tenth of itself, at alpha = 1 by all of itself, and at alpha = e^3, about 20,
the noise is 4.5 times as large as the mean: its sign is nearly a coin toss.

The Kullback-Leibler divergence is the price: how far the bell curve is from a prior which favours
no scale (flat in log |w|). In nats, for each weight: dear while it is certain, free once it is
noise alone, and falling all the way in between.

Source: Molchanov, Ashukha & Vetrov 2017, "Variational dropout sparsifies deep neural networks",
arXiv:1701.05369, section 4. Pure functions of tensors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["kl_divergence", "log_alpha"]

# Fitted by the authors to the exact divergence, which is an integral without a closed form.
_K1, _K2, _K3 = 0.63576, 1.87320, 1.48695


def log_alpha(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return ``log sigma^2 - log theta^2``, the log of a weight's relative variance.

    >>> log_alpha(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([2.])

    A mean of exactly 0 counts as a tiny number, so that the result is finite (and large).

    Args:
        mean: theta, any shape.
        log_variance: log sigma^2, of the same shape.
    """
    # The square of a half-precision number can underflow; its absolute value does not.
    return log_variance - 2 * mean.abs().clamp_min(torch.finfo(mean.dtype).tiny).log()


def kl_divergence(log_alpha: Tensor) -> Tensor:
    """Return the divergence of each weight from the prior, in nats, at least about 0.

    It falls from infinity at ``log_alpha`` -inf to 0 at +inf. While alpha is small it is about
    ``-0.5 log alpha``, so that the pull on ``log alpha`` is the same for every weight, 0.5. The
    only way to get rid of the price is to become noise. Off the exact integral by less than 0.01
    everywhere; the additive constant, which no training sees, is chosen so that noise is free.

    >>> kl_divergence(torch.tensor([0.0, 3.0]))  # k1 (1 - sigmoid(k2)) + 0.5 log 2 at 0
    tensor([0.4312, 0.0254])

    Args:
        log_alpha: any shape.
    """
    return 0.5 * F.softplus(-log_alpha) + _K1 * torch.sigmoid(-_K2 - _K3 * log_alpha)

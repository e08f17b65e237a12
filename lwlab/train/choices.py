"""The parts of a training that can be swapped: loss, optimizer, learning-rate schedule.

Each is a plain function; pass your own of the same form to ``fit``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.data.dataset import UNLABELLED
from lwlab.train.records import Batch

__all__ = [
    "Augmentation",
    "LossFunction",
    "OptimizerFactory",
    "PenaltyFunction",
    "Schedule",
    "adam",
    "constant",
    "cosine",
    "cross_entropy",
    "labelled_cross_entropy",
]

LossFunction = Callable[[Tensor, Batch], Tensor]
PenaltyFunction = Callable[[nn.Module], Tensor]
OptimizerFactory = Callable[[list[nn.Parameter], float], torch.optim.Optimizer]
Schedule = Callable[[float], float]
Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def cross_entropy(outputs: Tensor, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of logits ``(B, C)`` against the batch's targets.

    The mean runs over the examples that have a label; without any, the loss is 0.
    """
    return labelled_cross_entropy(outputs, batch.targets)


def labelled_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy over the examples whose target is not -1; 0 without any.

    Args:
        logits: ``(B, C)``.
        targets: int64 ``(B,)``, from 0 to C - 1, or -1 for an example without a label.
    """
    if not (targets != UNLABELLED).any():
        return 0 * logits.sum()  # Still part of the graph, so that backward() can be called.
    return F.cross_entropy(logits, targets, ignore_index=UNLABELLED)


def adam(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """Return Adam (Kingma & Ba 2015, arXiv:1412.6980), all parameters updated in one kernel."""
    return torch.optim.Adam(parameters, lr=learning_rate, fused=True)


def constant(progress: float) -> float:
    """Keep the learning rate: the factor is 1 at any ``progress`` in [0, 1)."""
    del progress
    return 1.0


def cosine(progress: float) -> float:
    """Let the learning rate fall along half a cosine, from 1 at ``progress`` 0 to 0 at 1.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts.
    """
    return 0.5 * (1 + math.cos(math.pi * progress))

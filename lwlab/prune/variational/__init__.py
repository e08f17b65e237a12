"""Sparse variational dropout: see ``training`` first, then ``divergence`` and ``noise``."""

from lwlab.prune.variational.divergence import kl_divergence, log_alpha
from lwlab.prune.variational.noise import WeightNoise
from lwlab.prune.variational.training import (
    KLPenalty,
    current_log_alphas,
    fix_noise_,
    learn_noise_,
    noise_masks,
)

__all__ = [
    "KLPenalty",
    "WeightNoise",
    "current_log_alphas",
    "fix_noise_",
    "kl_divergence",
    "learn_noise_",
    "log_alpha",
    "noise_masks",
]

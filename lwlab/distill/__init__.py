"""Distillation: a small network learns from the answers of a large one.

Read in this order: ``softening`` (temperature), ``losses`` (Hinton's loss, logit matching),
``decoupled``, ``correlation``, ``smoothing`` (the other losses), ``teacher`` and ``answers`` (where
the soft targets come from, and controls), ``untrained`` (the teacher that knows nothing),
``objectives`` (all of it as losses of ``train.fit``), ``stepping`` (is it only a larger step?);
below that ``logits`` (what is checked).
"""

from lwlab.distill.answers import Answers, CachedAnswers, LiveAnswers, ShuffledAnswers
from lwlab.distill.correlation import correlation_loss
from lwlab.distill.decoupled import decoupled_loss
from lwlab.distill.losses import distillation_loss, hard_loss, logit_matching_loss, soft_loss
from lwlab.distill.objectives import Distillation, LabelSmoothing, Scaled
from lwlab.distill.smoothing import label_smoothing_loss
from lwlab.distill.softening import log_soften, soften
from lwlab.distill.stepping import (
    distance_travelled,
    gradient_norm,
    gradient_ratio,
    step_ratio,
)
from lwlab.distill.teacher import Teacher
from lwlab.distill.untrained import untrained

__all__ = [
    "Answers",
    "CachedAnswers",
    "Distillation",
    "LabelSmoothing",
    "LiveAnswers",
    "Scaled",
    "ShuffledAnswers",
    "Teacher",
    "correlation_loss",
    "decoupled_loss",
    "distance_travelled",
    "distillation_loss",
    "gradient_norm",
    "gradient_ratio",
    "hard_loss",
    "label_smoothing_loss",
    "log_soften",
    "logit_matching_loss",
    "soft_loss",
    "soften",
    "step_ratio",
    "untrained",
]

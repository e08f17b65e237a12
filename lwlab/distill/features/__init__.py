"""Learning from the inside of a teacher: features of layers that are chosen by name.

Read in this order: ``recording`` (features of any model), ``hints``, ``attention``, ``relational``
(three ways to compare two layers), ``matches`` (the same as settings), ``distillation`` (the loss
for ``train.fit``); below that ``guests`` (how a regressor is trained along) and ``shapes``.
"""

from lwlab.distill.features.attention import attention_loss, attention_map
from lwlab.distill.features.distillation import FeatureDistillation
from lwlab.distill.features.hints import hint_loss, make_regressor
from lwlab.distill.features.matches import Attention, Hint, Match, Relation
from lwlab.distill.features.recording import features_of, recorded
from lwlab.distill.features.relational import angle_loss, distance_loss

__all__ = [
    "Attention",
    "FeatureDistillation",
    "Hint",
    "Match",
    "Relation",
    "angle_loss",
    "attention_loss",
    "attention_map",
    "distance_loss",
    "features_of",
    "hint_loss",
    "make_regressor",
    "recorded",
]

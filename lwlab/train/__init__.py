"""Training: one loop, ``fit``, which knows no compression technique by name."""

from lwlab.train.augmenting import Shift
from lwlab.train.choices import (
    Augmentation,
    LossFunction,
    OptimizerFactory,
    PenaltyFunction,
    Schedule,
    adam,
    constant,
    cosine,
    cross_entropy,
    labelled_cross_entropy,
)
from lwlab.train.loop import fit
from lwlab.train.records import Batch, Record, TrainingDivergedError

__all__ = [
    "Augmentation",
    "Batch",
    "LossFunction",
    "OptimizerFactory",
    "PenaltyFunction",
    "Record",
    "Schedule",
    "Shift",
    "TrainingDivergedError",
    "adam",
    "constant",
    "cosine",
    "cross_entropy",
    "fit",
    "labelled_cross_entropy",
]

"""Training: one loop, ``fit``, which knows no compression technique by name."""

from lwlab.train.choices import (
    LossFunction,
    OptimizerFactory,
    PenaltyFunction,
    Schedule,
    adam,
    constant,
    cosine,
    cross_entropy,
)
from lwlab.train.loop import fit
from lwlab.train.records import Batch, Record, TrainingDivergedError

__all__ = [
    "Batch",
    "LossFunction",
    "OptimizerFactory",
    "PenaltyFunction",
    "Record",
    "Schedule",
    "TrainingDivergedError",
    "adam",
    "constant",
    "cosine",
    "cross_entropy",
    "fit",
]

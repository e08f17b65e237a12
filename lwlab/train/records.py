"""What a training loop hands around: a batch to the loss, a record to the reader."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Batch", "Record", "TrainingDivergedError"]


@dataclass(frozen=True)
class Batch:
    """What a loss may look at besides the model's outputs.

    Attributes:
        inputs: ``(B, *input_shape)``, as the model saw them.
        targets: ``(B,)`` int64 class indices; -1 for an example without a label.
        indices: ``(B,)`` int64 positions in ``dataset.train``: the key to anything computed once
            for each training example, such as a teacher's answers.
        augmented: whether ``inputs`` were changed at random, and so are no longer those at
            ``indices``.
    """

    inputs: Tensor
    targets: Tensor
    indices: Tensor
    augmented: bool = False


@dataclass(frozen=True)
class Record:
    """The state of a training at one moment.

    Attributes:
        step: optimizer steps made so far, from 1; ``total_steps``: how many there will be.
        epoch: the current pass over the training split, from 1.
        loss: mean loss (penalty included) of the steps since the last record.
        training_accuracy: fraction right in those steps, each batch scored before its update;
            examples without a label do not count, and NaN says that there was no other.
        validation_accuracy: fraction right on the whole validation split at the end of an epoch;
            None at other moments.
        seconds: time spent training and validating so far; the reader's own time is not in it.
    """

    step: int
    total_steps: int
    epoch: int
    loss: float
    training_accuracy: float
    validation_accuracy: float | None
    seconds: float


class TrainingDivergedError(RuntimeError):
    """The loss is no longer a finite number; the model keeps its last finite weights."""

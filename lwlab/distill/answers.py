"""Where a loss gets the teacher's answers from: a table, the teacher itself, or a control.

Each is called with the batch and returns logits ``(B, C)``, one row for each of its examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lwlab.checks import check_count
from lwlab.data import Dataset
from lwlab.distill.teacher import Teacher
from lwlab.train.records import Batch

__all__ = ["Answers", "CachedAnswers", "LiveAnswers", "ShuffledAnswers"]


class Answers(Protocol):
    """Anything that turns a batch into the logits to be learned from."""

    def __call__(self, batch: Batch) -> Tensor:
        """Return logits ``(B, C)`` for the examples of ``batch``, in their order."""


class CachedAnswers:
    """The teacher's answers to the training examples, computed once and looked up by position.

    Args:
        teacher: asked here, about all of ``dataset.train``.
        dataset: the one that ``fit`` will get.

    Attributes:
        logits: ``(N, C)``, row i for example i of ``dataset.train``.

    Raises:
        TypeError, ValueError: an argument is of another kind, or the teacher cannot answer. When
            called: the batch is augmented, so that the teacher never saw these inputs, or comes
            from another data set.
    """

    def __init__(self, teacher: Teacher, dataset: Dataset) -> None:
        _check_teacher(teacher)
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}. "
                f"Try data.from_arrays."
            )
        self.logits = teacher.answers(dataset.train)
        self._inputs = dataset.train.inputs

    def __call__(self, batch: Batch) -> Tensor:
        """Return the rows of ``batch.indices``."""
        if batch.augmented:
            raise ValueError(
                "batch must hold the inputs that the teacher answered, got augmented ones. "
                "Try LiveAnswers(teacher), which answers what the student sees."
            )
        self._check_same_data(batch)
        return self.logits[batch.indices]

    def _check_same_data(self, batch: Batch) -> None:
        # One example of each batch: enough to catch another data set, and free.
        position = int(batch.indices[0])
        known = position < len(self._inputs)
        if not known or not torch.equal(self._inputs[position], batch.inputs[0]):
            raise ValueError(
                f"batch must come from the data set that the teacher answered, got other inputs "
                f"at position {position}. Make CachedAnswers with the data set given to fit."
            )


@dataclass(frozen=True)
class LiveAnswers:
    """The teacher's answers to the very inputs that the student sees, computed for each batch.

    For training with augmentation: teacher and student look at the same shifted image.

    Args:
        teacher: what to ask.

    Raises:
        TypeError: ``teacher`` is no ``Teacher``.
    """

    teacher: Teacher

    def __post_init__(self) -> None:
        _check_teacher(self.teacher)

    def __call__(self, batch: Batch) -> Tensor:
        """Return the teacher's logits for ``batch.inputs``."""
        return self.teacher.logits(batch.inputs)


@dataclass(frozen=True)
class ShuffledAnswers:
    """A control: each example gets the answer to another example of its batch.

    The answers are the same ones, only in the wrong places. They soften, regularize and scale the
    gradient as before, and say nothing of the example. A gain that stays with them does not come
    from what the teacher knows.

    The rows are moved round by a fixed number of places. Since ``fit`` shuffles its batches anew in
    each epoch, an example meets another's answer each time, and never its own.

    Args:
        answers: what to shuffle.
        seed: by how many places: ``1 + seed % (B - 1)`` for a batch of B.

    Raises:
        TypeError, ValueError: ``seed`` is no whole number of at least 0. When called: a batch of a
            single example.
    """

    answers: Answers
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("seed", self.seed, minimum=0)

    def __call__(self, batch: Batch) -> Tensor:
        """Return the rows of ``answers(batch)``, each in another's place."""
        count = len(batch.indices)
        if count < 2:
            raise ValueError("batch must hold at least 2 examples to be shuffled, got 1.")
        return self.answers(batch).roll(1 + self.seed % (count - 1), dims=0)


def _check_teacher(teacher: Teacher) -> None:
    if not isinstance(teacher, Teacher):
        raise TypeError(
            f"teacher must be a distill.Teacher, got {type(teacher).__name__}. Try Teacher(model)."
        )

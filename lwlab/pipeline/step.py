"""What a step is, and the bench on which it works.

A step is a frozen dataclass: its fields say what will be done, in numbers and words that a JSON
file can hold. Asked to ``apply_`` itself it works on a ``Bench`` and yields a record of ``fit``
whenever some training was done, so that whoever reads the records is in charge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from lwlab.data import Dataset
from lwlab.distill import CachedAnswers, Distillation, Teacher
from lwlab.train import LossFunction, Record, cosine, cross_entropy, fit

__all__ = ["Bench", "Step", "check_flag", "set_field_"]


@dataclass
class Bench:
    """What a step works on; each step leaves it to the next one.

    Attributes:
        model: the model as it stands. A step changes it in place, or puts another one here.
        start: the model as it was given, plain: what a packed file is loaded into.
        dataset: to train on and to look at.
        teacher: whose answers are learned where a step distils.
        own_teacher: the teacher was given. Otherwise it is the float model before compression.
        seed: of the step that is under way.
        steps_per_record: how many batches are trained between two records.
        data: the packed file, once a step has written it.
    """

    model: nn.Module
    start: nn.Module
    dataset: Dataset
    teacher: Teacher
    own_teacher: bool = False
    seed: int = 0
    steps_per_record: int | None = None
    data: bytes | None = None

    def train(self, *, epochs: int, learning_rate: float, **settings: Any) -> Iterator[Record]:
        """Train the model as it stands; the learning rate falls to 0 along a cosine."""
        settings = {"seed": self.seed, "schedule": cosine, **settings}
        yield from fit(
            self.model,
            self.dataset,
            epochs=epochs,
            learning_rate=learning_rate,
            steps_per_record=self.steps_per_record,
            **settings,
        )

    def loss(self, distil: bool) -> LossFunction:
        """Return the loss with the teacher's answers in it, or the plain one."""
        return self.distillation() if distil else cross_entropy

    def distillation(self, **settings: Any) -> Distillation:
        """Return the loss that learns the teacher's answers; ``settings`` go to it."""
        return Distillation(CachedAnswers(self.teacher, self.dataset), **settings)


@dataclass(frozen=True)
class Step(ABC):
    """One thing that is done to a model.

    Each subclass checks its fields as it is made: a wrong one is refused before anything runs.
    """

    @property
    def name(self) -> str:
        """What recipes and tables call it: the name of the class."""
        return type(self).__name__

    @abstractmethod
    def describe(self) -> str:
        """Return one plain line that says what will be done."""

    @abstractmethod
    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Do it to ``bench``, and yield a record of the training now and then, if there is any."""


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return value


def set_field_(step: Step, **values: Any) -> None:
    """Put checked values into a step that is being made: 3.0 epochs become 3."""
    for name, value in values.items():
        object.__setattr__(step, name, value)

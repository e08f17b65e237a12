"""One arm of an experiment, and what it begins with for one seed."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from lwlab.checks import check_count, check_number
from lwlab.data import Dataset
from lwlab.distill.untrained import untrained
from lwlab.train import LossFunction, OptimizerFactory, Schedule, adam, constant, cross_entropy
from lwlab.train.choices import Augmentation

__all__ = ["Arm", "DatasetChange", "LossFactory", "Start", "StudentFactory", "labels_alone"]


@dataclass(frozen=True)
class Start:
    """What one arm begins with for one seed.

    Attributes:
        student: with its initial weights.
        dataset: what it will be trained on.
        seed: of its weights and of its batches.
        batch_size: examples a step.
    """

    student: nn.Module
    dataset: Dataset
    seed: int
    batch_size: int = 64


StudentFactory = Callable[[int], nn.Module]
"""``seed -> student`` with initial weights."""
LossFactory = Callable[[Start], LossFunction]
"""``start -> loss`` for ``fit``."""
DatasetChange = Callable[[Dataset, int], Dataset]
"""``(dataset, seed) -> dataset``, such as ``lambda d, seed: few_labels(d, 10, seed)``."""


def labels_alone(start: Start) -> LossFunction:
    """Return cross-entropy: training without a teacher."""
    del start
    return cross_entropy


@dataclass(frozen=True)
class Arm:
    """Everything about one way to train a student; what arms share comes from the experiment.

    Arms with the same ``student`` begin, for each seed, with the same weights, and see the same
    batches in the same order.

    Args:
        student: ``seed -> module``. A module itself stands for its form: each seed begins with a
            copy whose weights are drawn afresh, see ``untrained``.
        make_loss: ``start -> loss``, called for each seed: a shuffled control needs the seed, a
            loss of features the student. A loss that is a context manager, such as
            ``FeatureDistillation``, is entered before the training and left after it.
        learning_rate: above 0, or ``start -> learning rate``.
        augment: as for ``fit``.
        change_dataset: ``(dataset, seed) -> dataset``, such as fewer labels; None trains on the
            data set of the experiment.
        epochs: passes over the train split; None takes those of the experiment.
        optimizer: as for ``fit``.
        schedule: as for ``fit``.

    Raises:
        TypeError, ValueError: a setting is of another kind, or out of range.
    """

    student: nn.Module | StudentFactory
    make_loss: LossFactory = labels_alone
    learning_rate: float | Callable[[Start], float] = 2e-3
    augment: Augmentation | None = None
    change_dataset: DatasetChange | None = None
    epochs: int | None = None
    optimizer: OptimizerFactory = adam
    schedule: Schedule = constant

    def __post_init__(self) -> None:
        _check_callable("student", self.student, "a module, or a function seed -> module")
        _check_callable("make_loss", self.make_loss, "a function start -> loss")
        if not callable(self.learning_rate):
            check_number("learning_rate", self.learning_rate, above=0)
        if self.augment is not None:
            _check_callable("augment", self.augment, "a function (inputs, generator) -> inputs")
        if self.change_dataset is not None:
            kind = "a function (dataset, seed) -> dataset"
            _check_callable("change_dataset", self.change_dataset, kind)
        if self.epochs is not None:
            check_count("epochs", self.epochs)
        _check_callable("optimizer", self.optimizer, "a function (parameters, rate) -> optimizer")
        _check_callable("schedule", self.schedule, "a function progress -> factor")

    def changed(self, dataset: Dataset, seed: int) -> Dataset:
        """Return the data set that this arm trains on.

        Args:
            dataset: of the experiment.
            seed: of the student.

        Raises:
            TypeError: ``change_dataset`` returns something else.
        """
        if self.change_dataset is None:
            return dataset
        return _returned("change_dataset", self.change_dataset(dataset, seed), Dataset)

    def start(self, dataset: Dataset, seed: int, batch_size: int = 64) -> Start:
        """Return what this arm begins with: a student of its own, and what it is trained on.

        Args:
            dataset: from ``changed``.
            seed: of the student.
            batch_size: examples a step.

        Raises:
            TypeError: ``student`` returns something else than a module.
        """
        if isinstance(self.student, nn.Module):
            return Start(untrained(self.student, seed), dataset, seed, batch_size)
        made = _returned("student", self.student(seed), nn.Module)
        # A copy, so that a factory that hands out one and the same module does no harm.
        return Start(copy.deepcopy(made), dataset, seed, batch_size)

    def rate(self, start: Start) -> float:
        """Return the learning rate for ``start``.

        Raises:
            TypeError, ValueError: it is no number above 0.
        """
        value = self.learning_rate(start) if callable(self.learning_rate) else self.learning_rate
        return check_number("learning_rate", value, above=0)

    @contextlib.contextmanager
    def loss(self, start: Start) -> Iterator[LossFunction]:
        """Make the loss for ``start``, ready to be used inside the block."""
        made = self.make_loss(start)
        with made if hasattr(made, "__enter__") else contextlib.nullcontext(made) as loss:
            yield loss


def _check_callable(name: str, value: object, kind: str) -> None:
    if isinstance(value, type) and issubclass(value, nn.Module):
        raise TypeError(
            f"{name} must be {kind}, got the class {value.__name__}. "
            f"Try lambda seed: {value.__name__}(seed=seed)."
        )
    if not callable(value):
        raise TypeError(f"{name} must be {kind}, got {value!r}.")


def _returned(name: str, value: object, kind: type) -> object:
    if isinstance(value, kind):
        return value
    raise TypeError(f"{name} must return a {kind.__name__}, got {type(value).__name__}.")

"""Fine-tuning a pruned network, step by step, in the background of PruneLab."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from lwlab import measure, prune
from lwlab.data import Dataset
from lwlab.labs.long_work import LongWork
from lwlab.labs.prune.criteria import Criteria
from lwlab.labs.prune.cutting import Cutter
from lwlab.labs.prune.params import PruneParams
from lwlab.prune.iterative import prune_iteratively
from lwlab.train import fit

__all__ = [
    "BATCH_SIZE",
    "FineTuning",
    "Recovery",
    "RecoveryPoint",
    "Untuned",
    "steps_per_record",
]

BATCH_SIZE = 64
_RECORDS_AN_EPOCH = 8
_SCORED_AT_EACH_RECORD = 500  # a larger validation split is scored at the end of an epoch only


@dataclass(frozen=True)
class RecoveryPoint:
    """The network at one moment of its fine-tuning.

    Attributes:
        epoch: passes over the train split so far, with fractions.
        validation_accuracy: fraction right on the whole validation split; None if not measured.
        training_accuracy: fraction right in the steps since the point before; None after a cut.
        sparsity: share of the weights that is pruned at this moment.
    """

    epoch: float
    validation_accuracy: float | None
    training_accuracy: float | None
    sparsity: float


@dataclass(frozen=True)
class Recovery:
    """A fine-tuning so far.

    Attributes:
        points: one for each record of ``fit`` or ``prune_iteratively``, oldest first.
        epochs: how many there will be, unless it is stopped.
        untuned: accuracy right after the cut, before any training.
        untuned_bytes: length of the packed file then.
        state: ``running``, ``stopped`` or ``finished``.
    """

    points: tuple[RecoveryPoint, ...]
    epochs: int
    untuned: measure.Accuracy
    untuned_bytes: int
    state: str

    @property
    def ended(self) -> bool:
        """Whether the network on screen is the fine-tuned one."""
        return self.state in ("stopped", "finished")

    @property
    def epochs_done(self) -> float:
        """Passes over the train split so far, with fractions."""
        return self.points[-1].epoch if self.points else 0.0

    @property
    def validation_accuracy(self) -> float | None:
        """The newest fraction right on the validation split; None before the first."""
        scored = [p.validation_accuracy for p in self.points if p.validation_accuracy is not None]
        return scored[-1] if scored else None


class Untuned(NamedTuple):
    """Accuracy and bytes right after the cut."""

    accuracy: measure.Accuracy
    size_bytes: int


class FineTuning:
    """Trains the network of one cut; ``work`` takes the steps.

    Args:
        params: the cut, and how it is trained.
        model: the unpruned network.
        dataset: its train split is learned, its validation split scored.
        cutter, criteria: of the same network.

    Attributes:
        network: what is being trained; None before the first step.
        untuned: what was measured right after the cut, before any training; set from outside.
        work: its steps are the points so far.
    """

    def __init__(
        self,
        params: PruneParams,
        model: nn.Module,
        dataset: Dataset,
        cutter: Cutter,
        criteria: Criteria,
    ) -> None:
        self.params = params
        self.network: nn.Module | None = None
        self.untuned: Untuned | None = None
        self.work = LongWork(self._steps)
        self._model, self._dataset = model, dataset
        self._cutter, self._criteria = cutter, criteria
        self._points: list[RecoveryPoint] = []

    @property
    def ended(self) -> bool:
        """Whether it was finished, or stopped after a step at least."""
        return bool(self._points) and self.work.state in ("stopped", "finished")

    @property
    def alive(self) -> bool:
        """Whether it runs, or has ended with something to show."""
        return self.work.running or self.ended

    def recovery(self) -> Recovery | None:
        """Return what is to be seen of it at this moment; None before the cut is measured."""
        if self.untuned is None or not self.alive:
            return None
        return Recovery(tuple(self._points), self.params.epochs, *self.untuned, self.work.state)

    def _steps(self) -> Iterator[list[RecoveryPoint]]:
        gradual = self.params.schedule != "one_shot"
        for point in self._gradually() if gradual else self._at_once():
            self._points.append(point)
            yield self._points

    def _at_once(self) -> Iterator[RecoveryPoint]:
        """Cut, then train."""
        self.network = self._cutter.pruned(self.params)
        sparsity, epochs = measure.sparsity(self.network), self.params.epochs
        for record in fit(self.network, self._dataset, epochs=epochs, **self._training()):
            epoch = epochs * record.step / record.total_steps
            scored = self._validated(record.validation_accuracy)
            yield RecoveryPoint(epoch, scored, record.training_accuracy, sparsity)

    def _gradually(self) -> Iterator[RecoveryPoint]:
        """Raise the sparsity before each epoch."""
        params, self.network = self.params, copy.deepcopy(self._model)
        by_model = functools.partial(self._criteria.importance_of, params.criterion)
        for record in prune_iteratively(
            self.network,
            self._dataset,
            **self._cutter.sparsity(params),
            steps=params.epochs,
            schedule=getattr(prune, params.schedule),
            **_criterion_arguments(params.criterion, by_model),
            **self._training(),
        ):
            done, training = record.step - 1, record.training
            if training is not None:
                done += training.step / training.total_steps
            scored = self._validated(record.validation_accuracy)
            correct = None if training is None else training.training_accuracy
            yield RecoveryPoint(done, scored, correct, measure.sparsity(self.network))

    def _training(self) -> dict[str, Any]:
        return {
            "learning_rate": self.params.learning_rate,
            "batch_size": BATCH_SIZE,
            "steps_per_record": steps_per_record(self._dataset),
        }

    def _validated(self, accuracy: float | None) -> float | None:
        split = self._dataset.validation
        if accuracy is None and len(split) <= _SCORED_AT_EACH_RECORD:
            return measure.accuracy(self.network, split).value
        return accuracy


def _criterion_arguments(name: str, by_model: Any) -> dict[str, Any]:
    """Return the criterion as ``prune_iteratively`` takes it: asked anew before each cut."""
    if name == "magnitude":
        return {}
    if name == "random":
        return {"importance": prune.RandomImportance(seed=0)}
    return {"model_importance": by_model}


def steps_per_record(dataset: Dataset) -> int:
    """Return how many steps make a record: enough of them for a live curve and a quick Stop."""
    steps_an_epoch = -(-len(dataset.train) // BATCH_SIZE)
    return max(1, min(10, steps_an_epoch // _RECORDS_AN_EPOCH))

"""Three students of one seed, trained at once, step by step, in the background of DistillLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from torch import nn

from lwlab import measure
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.distill.arm import Arm, StudentFactory
from lwlab.distill.arms import (
    alone,
    distilled,
    equal_step,
    label_smoothing,
    random_teacher,
    shuffled,
)
from lwlab.distill.lockstep import SideBySide, train_side_by_side
from lwlab.labs.distill.params import ALONE, DISTILLED, DistillParams
from lwlab.labs.distill.result import RaceResult, Score
from lwlab.labs.held_work import HeldWork
from lwlab.train import Record

__all__ = ["BATCH_SIZE", "Race", "make_arms", "steps_per_record"]

BATCH_SIZE = 64
_RECORDS_AN_EPOCH = 8
_MOST_STEPS = 3  # of three networks each, between two looks at the buttons
_LOOK_SECONDS = 0.05


def steps_per_record(dataset: Dataset) -> int:
    """Return how many steps make a record: few, for a live picture and a quick Stop."""
    steps_an_epoch = -(-len(dataset.train) // BATCH_SIZE)
    return max(1, min(_MOST_STEPS, steps_an_epoch // _RECORDS_AN_EPOCH))


def make_arms(
    params: DistillParams, student: nn.Module | StudentFactory, teacher: Teacher
) -> dict[str, Arm]:
    """Return the three arms of a setting by name.

    Args:
        params: the setting.
        student: each seed draws its weights anew.
        teacher: frozen.
    """
    rate = {"learning_rate": params.learning_rate}
    soft = {"temperature": params.temperature, "alpha": params.alpha, "kind": params.kind}
    taught = distilled(student, teacher, **soft, **rate)
    controls: dict[str, Callable[[], Arm]] = {
        "label smoothing": lambda: label_smoothing(student, **rate),
        "shuffled": lambda: shuffled(student, teacher, **soft, **rate),
        "random teacher": lambda: random_teacher(student, teacher, **soft, **rate),
        "equal step": lambda: equal_step(taught),
    }
    control = controls[params.control]()
    return {ALONE: alone(student, **rate), DISTILLED: taught, params.control: control}


class Race(HeldWork):
    """Trains the three students of one setting; ``pictures`` takes the steps.

    Args:
        params: the setting.
        arms: from ``make_arms``.
        teacher: answers once about each training example before the students begin.
        dataset: its train split is learned, its validation split scored.

    Attributes:
        students: the networks by name; empty before the first step.
        scores: what was measured at the end; empty before.
        error: what ended it, or None.
    """

    def __init__(
        self, params: DistillParams, arms: Mapping[str, Arm], teacher: Teacher, dataset: Dataset
    ) -> None:
        super().__init__()
        self.params = params
        self.students: dict[str, nn.Module] = {}
        self.scores: dict[str, Score] = {}
        self._arms, self._teacher, self._dataset = arms, teacher, dataset
        self._records: dict[str, list[Record]] = {name: [] for name in arms}
        self._sizes: dict[str, int] = {}

    # ---- the steps -----------------------------------------------------------------------------

    def _steps(self) -> Iterator[SideBySide | None]:
        yield from self._ask_teacher()
        training = train_side_by_side(
            self._arms,
            self._dataset,
            seed=self.params.seed,
            epochs=self.params.epochs,
            steps_per_record=steps_per_record(self._dataset),
            batch_size=BATCH_SIZE,
        )
        self.students = training.students
        # Of fresh weights, for the pictures until the end: floats take the same room.
        self._sizes = {name: measure.packed_bytes(s) for name, s in self.students.items()}
        for records in training:
            for name, record in records.items():
                self._records[name].append(record)
            yield training

    def _ask_teacher(self) -> Iterator[None]:
        """Let the teacher answer in a thread of its own: on a large train split it takes long."""
        pool = ThreadPoolExecutor(1)
        answers = pool.submit(self._teacher.answers, self._dataset.train)
        pool.shutdown(wait=False)
        while not wait([answers], _LOOK_SECONDS).done:
            yield None
        answers.result()

    # ---- what is to be seen --------------------------------------------------------------------

    def measure(self) -> None:
        """Measure the students as they are by now."""
        for name, student in self.students.items():
            accuracy = measure.accuracy(student, self._dataset.validation)
            self.scores[name] = Score(accuracy, measure.packed_bytes(student))

    def result(self) -> RaceResult:
        """Return the race at this moment."""
        records = {name: tuple(found) for name, found in self._records.items()}
        scores = {
            name: self.scores.get(name) or self._newest(name, found)
            for name, found in records.items()
        }
        return RaceResult(self.params, records, scores, self.state)

    def _newest(self, name: str, records: tuple[Record, ...]) -> Score | None:
        scored = [r.validation_accuracy for r in records if r.validation_accuracy is not None]
        if not scored:
            return None
        total = len(self._dataset.validation)
        return Score(measure.Accuracy(round(scored[-1] * total), total), self._sizes[name])

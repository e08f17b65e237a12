"""Everything that DistillLab computes: answers softened, students trained; no widget in sight."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from torch import nn

from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.distill.arm import StudentFactory
from lwlab.labs.contract import Part
from lwlab.labs.distill.knowledge import Knowledge, check_together
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.race import Race, make_arms
from lwlab.labs.distill.result import DistillResult, RaceResult
from lwlab.labs.distill.tally import Tally
from lwlab.units import format_duration

__all__ = ["Bench"]


class Bench:
    """Softens what ``teacher`` says, and trains students.

    ``parts`` runs in the worker's thread; what a button starts or ends is set from others.

    Args:
        teacher: frozen.
        student: each seed draws its weights anew.
        dataset: of the lab.
        params: the first setting.
        finished: called with the seed, once for each race that ran to its end.

    Attributes:
        knowledge: what the teacher says.
        race: the present students, or the last ones; None before the first.

    Raises:
        TypeError, ValueError: the networks or the data set do not fit together.
    """

    def __init__(
        self,
        teacher: Teacher,
        student: nn.Module | StudentFactory,
        dataset: Dataset,
        params: DistillParams,
        finished: Callable[[int], None],
    ) -> None:
        self._teacher, self._student, self._dataset = teacher, student, dataset
        arms = make_arms(params, student, teacher)
        check_together(teacher, arms["alone"].start(dataset, params.seed).student, dataset)
        self.knowledge = Knowledge(teacher, dataset)
        self.race: Race | None = None
        self._tally, self._finished = Tally(), finished

    def start(self, params: DistillParams) -> None:
        """Let the next ``parts`` train three students; a race that runs is given up."""
        arms = make_arms(params, self._student, self._teacher)
        self.race = Race(params, arms, self._teacher, self._dataset)

    def parts(
        self, params: DistillParams, outdated: Callable[[], bool]
    ) -> Iterator[Part[DistillResult]]:
        """Yield what the teacher says at this setting; then go on with the students."""
        race = self.race
        seen = DistillResult(
            self.knowledge.answer(params),
            self.knowledge.similarity(params.temperature),
            self.knowledge.score,
        )
        if race is not None and race.state == "running":
            yield self._part(seen, race)
            for _ in race.pictures(outdated):
                yield self._part(seen, race)
        if race is not None and race.state in ("stopped", "finished") and not race.scores:
            yield Part(self._with(seen, race), "Measuring the students.")
            race.measure()
            if race.state == "finished":
                self._tally.add(race)
                self._finished(race.params.seed)
        yield self._part(seen, race)

    def _part(self, seen: DistillResult, race: Race | None) -> Part[DistillResult]:
        result = self._with(seen, race)
        return Part(result, "" if race is None else _standing(result.race))

    def _with(self, seen: DistillResult, race: Race | None) -> DistillResult:
        if race is None:
            return seen
        seeds = self._tally.result(race.params)
        return dataclasses.replace(seen, race=race.result(), seeds=seeds)


def _standing(race: RaceResult) -> str:
    """Return one sentence about a race that is not over; empty for one that is."""
    if race.state == "paused":
        return "Paused."
    if race.state != "running":
        return ""
    newest = [records[-1] for records in race.records.values() if records]
    if not newest:
        return "The teacher answers about each training example, once."
    seconds = sum(record.seconds for record in newest)
    last = newest[0]
    left = seconds / last.step * (last.total_steps - last.step)
    return f"Training three students: epoch {last.epoch}, about {format_duration(left)} left."

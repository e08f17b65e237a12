"""DistillLab: see what a teacher knows, and three students learn with it and without it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from lwlab.checks import check_choice, check_count
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.distill.arm import StudentFactory
from lwlab.journal import Entry
from lwlab.labs.contract import Gate, Part
from lwlab.labs.distill import controls as widgets_of
from lwlab.labs.distill.bench import Bench
from lwlab.labs.distill.journaling import student_entries
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.race import Race
from lwlab.labs.distill.result import DistillResult, RaceResult
from lwlab.labs.distill.view import DistillView
from lwlab.labs.first_params import first_params
from lwlab.labs.held_lab import HeldLab
from lwlab.labs.journaling import origin_of
from lwlab.labs.live_plot import Screen

__all__ = ["DistillLab"]


class DistillLab(HeldLab[DistillParams, DistillResult]):
    """Soften what ``teacher`` says by a slider; then train three students at once, live.

    One learns from the labels alone, one from the teacher too, and one is a control that softens
    without the teacher's knowledge, or takes larger steps. All begin with the same weights and see
    the same batches. Each seed that is finished joins a table, for its recipe; the seed then goes
    on by one. Controls of the training count at the next Start, so that no touch loses a training;
    the temperature and the images move at once, also while students learn.

    In a notebook, show the lab in one cell and let the next one say ``await lab.done()``; in a
    script, ``lab.run()``. ``lab.trained_student("distilled")`` gives a copy of a student. Nothing
    happens to ``teacher`` or ``student`` themselves.

    Args:
        teacher: a trained network that returns logits, or a ``distill.Teacher``.
        student: a network whose form is taken, each seed draws its weights anew; or a function
            ``seed -> network``.
        dataset: its train split is learned; all that is shown is of its validation split.
        after: keep the lab locked until this prediction is made or skipped.
        **first: first values of the controls, by the fields of ``DistillParams``:
            ``DistillLab(teacher, student, dataset, temperature=8, control="shuffled")``.

    Raises:
        TypeError, ValueError: an argument is out of range; teacher, student and data set do not
            have the same number of classes; or a network returns probabilities.
    """

    # A result holds the records of three students.
    history_length = 40

    def __init__(
        self,
        teacher: nn.Module | Teacher,
        student: nn.Module | StudentFactory,
        dataset: Dataset,
        *,
        after: Gate | None = None,
        **first: Any,
    ) -> None:
        params = first_params(DistillParams, type(self).__name__, first)
        names = (_class_name(teacher), _class_name(student))
        teacher = teacher if isinstance(teacher, Teacher) else Teacher(teacher)
        student = copy.deepcopy(student) if isinstance(student, nn.Module) else student
        self._bench = Bench(teacher, student, dataset, params, self._finished)
        self._count, self._silent_end = len(dataset.validation), False
        check_count("example", params.example, minimum=0, maximum=self._count - 1)
        self._view = DistillView(dataset, *names)
        self._origin = origin_of(teacher.models, dataset)
        self._buttons = widgets_of.Buttons()
        self.start_button, self.pause_button = self._buttons.start, self._buttons.pause
        self.stop_button = self._buttons.stop
        self.previous_button, self.next_button = self._buttons.previous, self._buttons.next
        self._connect_buttons()
        controls = widgets_of.controls(params, self._count)
        super().__init__(
            params=params,
            controls=controls,
            rows=widgets_of.rows(controls, self._buttons),
            buttons=[self.start_button, self.previous_button, self.next_button],
            after=after,
        )
        self.compute_first()

    def _connect_buttons(self) -> None:
        for button, action in (
            (self.start_button, self.start),
            (self.pause_button, self.pause),
            (self.stop_button, self.stop),
            (self.previous_button, lambda: self._turn(-1)),
            (self.next_button, lambda: self._turn(1)),
        ):
            button.on_click(lambda _, action=action: self.pressed(action))

    # ---- the buttons ---------------------------------------------------------------------------

    @property
    def held(self) -> Race | None:
        """The present students, or the last ones; None before the first."""
        return self._bench.race

    def begin(self) -> DistillParams:
        """Make three new students by the present setting; those that learn are given up."""
        params = self.read_controls()
        self._bench.start(params)
        return params

    def _turn(self, pages: int) -> None:
        self.set(example=(self.controls["example"].value + pages) % self._count)

    def run(self) -> RaceResult:
        """Train in the calling thread; see ``HeldLab.run``."""
        self._silent_end = True
        try:
            return super().run()
        finally:
            self._silent_end = False

    def outcome(self) -> RaceResult:
        """Return the students at the end."""
        return self._bench.race.result()

    def trained_student(self, name: str) -> nn.Module:
        """Return a copy of a student as it is by now: ``"alone"``, ``"distilled"`` or the control.

        Raises:
            ValueError: there is no student of that name, or none was trained yet.
        """
        students = {} if self._bench.race is None else self._bench.race.students
        if not students:
            raise ValueError("a student must be trained first, got none. Press Start.")
        return copy.deepcopy(students[check_choice("name", name, students)])

    # ---- compute and draw ----------------------------------------------------------------------

    def parts(
        self, params: DistillParams, outdated: Callable[[], bool]
    ) -> Iterator[Part[DistillResult]]:
        """Soften the answers; then go on with the students, a picture a few times a second."""
        yield from self._bench.parts(params, outdated)

    def draw(self, params: DistillParams, result: DistillResult) -> Screen:
        """Return answer and similarities; once there are students, their curves and sizes."""
        self._buttons.show("" if result.race is None else result.race.state)
        return self._view.draw(params, result)

    def journal_entries(self, params: DistillParams, result: DistillResult) -> tuple[Entry, ...]:
        """Return a try for each student that has finished."""
        return student_entries(result, self._origin)

    def _finished(self, seed: int) -> None:
        """Let the seed go on by one, unless somebody has moved it meanwhile."""
        control = self.controls["seed"]
        if control.value != seed or seed >= control.max:
            return
        if self._silent_end:
            self._show_in_controls({"seed": seed + 1})
        else:
            # As if it was moved by hand: a silent move in the worker's thread could silence a hand.
            control.value = seed + 1

    def _remember(self, params: DistillParams, result: DistillResult) -> None:
        """Keep a try without the students' records, which the newest result has."""
        light = result if result.race is None else dataclasses.replace(result, race=None)
        super()._remember(params, light)


def _class_name(network: object) -> str:
    if isinstance(network, nn.Module):
        return type(network).__name__.removeprefix("Parametrized")
    if isinstance(network, Teacher):
        return " and ".join(_class_name(model) for model in network.models)
    return "network"

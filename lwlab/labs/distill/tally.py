"""The finished seeds, recipe by recipe."""

from __future__ import annotations

from typing import Any

from lwlab.distill.student_table import StudentRow, summarize_students
from lwlab.labs.distill.params import ALONE, DISTILLED, DistillParams
from lwlab.labs.distill.race import Race
from lwlab.labs.distill.result import SeedsResult

__all__ = ["Tally"]


class Tally:
    """Rows of finished students; only those of one recipe are compared with each other."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, ...], dict[tuple[int, str], StudentRow]] = {}

    def add(self, race: Race) -> None:
        """Count a finished and measured race; a seed that was there is replaced."""
        params = race.params
        rows = self._rows.setdefault(params.recipe(), {})
        for name in params.names:
            accuracy = race.scores[name].accuracy.value
            rows[params.seed, name] = StudentRow(name, params.seed, accuracy)

    def result(self, params: DistillParams) -> SeedsResult | None:
        """Return the finished seeds of the recipe of ``params``; None if there is none."""
        found = self._rows.get(params.recipe(), {})
        if not found:
            return None
        seeds = sorted({seed for seed, _ in found})
        rows = [found[seed, name] for name in params.names for seed in seeds]
        against = summarize_students(rows, against=params.control)
        return SeedsResult(
            tuple(seeds), summarize_students(rows, against=ALONE), against[DISTILLED].difference
        )

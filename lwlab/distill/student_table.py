"""What students over seeds say: means, spreads, and differences that were seen or not."""

from __future__ import annotations

import csv
import math
import os
import statistics
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from lwlab.checks import did_you_mean
from lwlab.measure.paired import PairedDifference, paired_difference, spread, verdict
from lwlab.measure.tables import html_table, text_table
from lwlab.units import format_percent

__all__ = [
    "StudentRow",
    "StudentSummary",
    "StudentTable",
    "read_students",
    "summarize_students",
    "write_students",
]

_HEAD = ["arm", "seed", "accuracy"]


@dataclass(frozen=True)
class StudentRow:
    """One trained student.

    Attributes:
        arm: how it was trained.
        seed: of its initial weights and its batches.
        accuracy: fraction right.
    """

    arm: str
    seed: int
    accuracy: float


@dataclass(frozen=True)
class StudentSummary:
    """One arm over all seeds.

    Attributes:
        arm: its name.
        seeds: how many students.
        accuracy: mean fraction right.
        spread: standard deviation over the seeds; 0 for a single one.
        difference: to the arm it is compared with, student by student.
    """

    arm: str
    seeds: int
    accuracy: float
    spread: float
    difference: PairedDifference


@dataclass(frozen=True)
class StudentTable:
    """All arms; ``print`` it, or show it in a cell.

    Attributes:
        against: the arm that the others are compared with.
        summaries: in the order of the rows.
    """

    against: str
    summaries: tuple[StudentSummary, ...]

    def __getitem__(self, arm: str) -> StudentSummary:
        """Return the summary of one arm.

        Raises:
            KeyError: there is no such arm.
        """
        return {summary.arm: summary for summary in self.summaries}[arm]

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[list[str]]:
        compared = [f"against {self.against}", "95 % interval"]
        head = ["student", "seeds", "accuracy", "spread", *compared]
        return [head, *(self._cells(summary) for summary in self.summaries)]

    def _cells(self, summary: StudentSummary) -> list[str]:
        same = summary.arm == self.against
        return [
            summary.arm,
            str(summary.seeds),
            format_percent(summary.accuracy),
            f"{100 * summary.spread:.1f}",
            "-" if same else verdict(summary.difference),
            "-" if same else _interval(summary.difference),
        ]


def _interval(difference: PairedDifference) -> str:
    if math.isnan(difference.low):
        return "-"
    return f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"


def summarize_students(
    rows: Iterable[StudentRow], against: str | Iterable[str] = "alone"
) -> StudentTable:
    """Return means over seeds, and each arm against another, student by student.

    Args:
        rows: each arm with the same seeds; a seed that was not finished is left out with a filter.
        against: name of an arm; of several, the one with the highest mean is taken. Choosing the
            best of several controls on the rows themselves makes a gain look smaller, never larger.

    Raises:
        ValueError: there is no row, no such arm, or a seed is missing or double somewhere.
    """
    arms: dict[str, dict[int, float]] = {}
    for row in rows:
        seeds = arms.setdefault(row.arm, {})
        if row.seed in seeds:
            raise ValueError(
                f"rows must hold each student once, got {row.arm!r} with seed {row.seed} twice."
            )
        seeds[row.seed] = row.accuracy
    if not arms:
        raise ValueError("rows must hold at least one student, got none.")
    chosen = _reference(arms, against)
    found = (_summary(arm, seeds, chosen, arms[chosen]) for arm, seeds in arms.items())
    return StudentTable(chosen, tuple(found))


def _reference(arms: dict[str, dict[int, float]], against: str | Iterable[str]) -> str:
    names = [against] if isinstance(against, str) else list(against)
    if not names:
        raise ValueError("against must name at least one arm, got none.")
    for name in names:
        if name not in arms:
            hint = did_you_mean(name, arms)
            raise ValueError(f"against must be an arm in rows, got {name!r}.{hint}")
    return max(names, key=lambda name: statistics.mean(arms[name].values()))


def _summary(
    arm: str, seeds: dict[int, float], against: str, reference: dict[int, float]
) -> StudentSummary:
    if seeds.keys() != reference.keys():
        raise ValueError(
            f"rows must hold the same seeds for each arm, got {sorted(seeds)} for {arm!r} and "
            f"{sorted(reference)} for {against!r}."
        )
    values = [seeds[seed] for seed in sorted(seeds)]
    gap = paired_difference(values, [reference[seed] for seed in sorted(seeds)])
    return StudentSummary(arm, len(values), statistics.mean(values), spread(values), gap)


def write_students(path: str | os.PathLike[str], rows: Iterable[StudentRow]) -> None:
    """Write rows as CSV, for a training that goes on later.

    Args:
        path: the file.
        rows: the rows.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEAD)
        writer.writerows(astuple(row) for row in rows)


def read_students(path: str | os.PathLike[str]) -> list[StudentRow]:
    """Return what ``write_students`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not of that form; the sentence names the line.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        head = next(reader, [])
        if head != _HEAD:
            raise ValueError(
                f"{os.fspath(path)!r} must begin with the columns of write_students, got "
                f"{','.join(head)[:80]!r}."
            )
        return [
            _parsed(cells, f"line {reader.line_num} of {os.fspath(path)!r}") for cells in reader
        ]


def _parsed(cells: list[str], place: str) -> StudentRow:
    try:
        arm, seed, accuracy = cells
        row = StudentRow(arm, int(seed), float(accuracy))
        if not 0 <= row.accuracy <= 1:
            raise ValueError("a fraction lies outside [0, 1]")
    except ValueError as error:
        raise ValueError(
            f"{place} must be a row of write_students, got {cells!r}: {error}."
        ) from error
    return row

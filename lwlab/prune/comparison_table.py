"""What rows over several seeds say: means, spreads, and differences that were seen or not."""

from __future__ import annotations

import csv
import dataclasses
import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lwlab.checks import did_you_mean
from lwlab.measure.paired import PairedDifference, paired_difference, spread, verdict
from lwlab.measure.tables import html_table, text_table
from lwlab.prune.comparing import ComparisonRow
from lwlab.units import format_percent

__all__ = [
    "CriterionSummary",
    "SummaryTable",
    "read_rows",
    "summarize",
    "write_rows",
]

Groups: TypeAlias = dict[tuple[str, str], list[ComparisonRow]]
"""Rows by (data set, kind of cut), such as ``("digits", "channels")``."""

_FIELDS = [field.name for field in dataclasses.fields(ComparisonRow)]


@dataclass(frozen=True)
class CriterionSummary:
    """One criterion at one sparsity, over seeds.

    Attributes:
        criterion, sparsity: which.
        seeds: how many networks.
        as_cut, recovered: mean fraction right, before and after fine-tuning.
        spread: standard deviation of ``recovered`` over the seeds; 0 for a single one.
        difference: mean of ``recovered`` minus that of the reference, network by network.
        low, high: 95 % interval of that difference, by Student's t; NaN for a single seed.
    """

    criterion: str
    sparsity: float
    seeds: int
    as_cut: float
    recovered: float
    spread: float
    difference: float
    low: float
    high: float

    @property
    def paired(self) -> PairedDifference:
        """The difference and its interval, as ``lwlab.measure`` has them."""
        return PairedDifference(self.difference, self.low, self.high, self.seeds)

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        return self.paired.differs


@dataclass(frozen=True)
class SummaryTable:
    """All summaries; ``print`` it, or show it in a cell.

    Attributes:
        reference: the criterion that the others are compared with.
        summaries: by sparsity, then by criterion in the order of the rows.
    """

    reference: str
    summaries: tuple[CriterionSummary, ...]

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[list[str]]:
        head = ["criterion", "cut", "as cut", "fine-tuned", "spread", f"against {self.reference}"]
        return [head, *([*_cells(s), self._verdict(s)] for s in self.summaries)]

    def _verdict(self, summary: CriterionSummary) -> str:
        if summary.criterion == self.reference:
            return "-"
        return verdict(summary.paired)


def _cells(summary: CriterionSummary) -> list[str]:
    return [
        summary.criterion,
        format_percent(summary.sparsity, 0),
        format_percent(summary.as_cut),
        format_percent(summary.recovered),
        f"{100 * summary.spread:.1f}",
    ]


def summarize(rows: Iterable[ComparisonRow], reference: str = "random") -> SummaryTable:
    """Return means over seeds, and each criterion against ``reference`` network by network.

    Args:
        rows: of one data set and one kind of cut; each criterion at the same sparsities and seeds.
        reference: name of a criterion.

    Raises:
        ValueError: there is no row, no such criterion, or a seed is missing or double somewhere.
    """
    table: dict[float, dict[str, dict[int, ComparisonRow]]] = {}
    for row in rows:
        seeds = table.setdefault(row.sparsity, {}).setdefault(row.criterion, {})
        if row.seed in seeds:
            raise ValueError(f"rows must hold each network once, got {_title(row)} twice.")
        seeds[row.seed] = row
    if not table:
        raise ValueError("rows must hold at least one measurement, got none.")
    found = []
    for sparsity in sorted(table):
        criteria = table[sparsity]
        if reference not in criteria:
            hint = did_you_mean(reference, criteria)
            raise ValueError(f"reference must be a criterion in rows, got {reference!r}.{hint}")
        for seeds in criteria.values():
            found.append(_summary(seeds, criteria[reference]))
    return SummaryTable(reference, tuple(found))


def _title(row: ComparisonRow) -> str:
    return f"{row.criterion!r} at sparsity {row.sparsity:g}, seed {row.seed}"


def _summary(
    seeds: dict[int, ComparisonRow], reference: dict[int, ComparisonRow]
) -> CriterionSummary:
    rows = [seeds[seed] for seed in sorted(seeds)]
    if seeds.keys() != reference.keys():
        raise ValueError(
            f"rows must hold the same seeds for each criterion, got {sorted(seeds)} for "
            f"{rows[0].criterion!r} and {sorted(reference)} for the reference."
        )
    recovered = [row.recovered for row in rows]
    gap = paired_difference(recovered, [reference[row.seed].recovered for row in rows])
    return CriterionSummary(
        criterion=rows[0].criterion,
        sparsity=rows[0].sparsity,
        seeds=len(rows),
        as_cut=statistics.mean(row.as_cut for row in rows),
        recovered=statistics.mean(recovered),
        spread=spread(recovered),
        difference=gap.mean,
        low=gap.low,
        high=gap.high,
    )


def write_rows(path: str | os.PathLike[str], groups: Groups) -> None:
    """Write rows as CSV, each behind the data set and the kind of cut it is of.

    Args:
        path: the file.
        groups: the rows.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["dataset", "cut", *_FIELDS])
        for group, rows in groups.items():
            for row in rows:
                writer.writerow([*group, *dataclasses.astuple(row)])


def read_rows(path: str | os.PathLike[str]) -> Groups:
    """Return what ``write_rows`` wrote: rows by (data set, kind of cut).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not of that form; the sentence names the line.
    """
    groups: Groups = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        head = next(reader, [])
        if head != ["dataset", "cut", *_FIELDS]:
            raise ValueError(
                f"{os.fspath(path)!r} must begin with the columns of write_rows, got "
                f"{','.join(head)[:80]!r}."
            )
        for cells in reader:
            group, row = _parsed(cells, f"line {reader.line_num} of {os.fspath(path)!r}")
            groups.setdefault(group, []).append(row)
    return groups


def _parsed(cells: list[str], place: str) -> tuple[tuple[str, str], ComparisonRow]:
    try:
        dataset, cut, criterion, sparsity, seed, as_cut, recovered = cells
        numbers = [float(sparsity), float(as_cut), float(recovered)]
        if not all(0 <= number <= 1 for number in numbers):
            raise ValueError("a fraction lies outside [0, 1]")
        row = ComparisonRow(criterion, numbers[0], int(seed), *numbers[1:])
    except ValueError as error:
        raise ValueError(f"{place} must be a row of write_rows, got {cells!r}: {error}.") from error
    return (dataset, cut), row

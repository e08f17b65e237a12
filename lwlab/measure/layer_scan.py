"""LayerScan: what tables of "one layer changed, by how much" have in common.

A scan changes one layer at a time, by one step after the other (sparsities, widths), and measures.
Its table has a row a layer and a column a step. Pruning and quantization each have one of their
own; rows, early exit, equality of two scans and the printed form are here.
"""

from __future__ import annotations

import dataclasses
import itertools
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from lwlab.checks import check_choice, check_fraction
from lwlab.measure.accuracy import Accuracy
from lwlab.measure.tables import html_table, text_table
from lwlab.units import format_percent

__all__ = ["LayerScan", "check_same_baseline", "check_same_scan"]

_ROUNDING = 1e-9  # 0.4 - 0.3 is a little more than 0.1 in floating point


class LayerScan(ABC):
    """Mixed into a frozen dataclass with the fields ``baseline``, ``layers`` and ``tolerance``.

    A subclass names its two other fields in ``steps_field`` and ``cells_field``, and says what a
    cell is.
    """

    baseline: Accuracy
    layers: tuple[str, ...]
    tolerance: float | None
    steps_field: ClassVar[str]
    cells_field: ClassVar[str]
    cell_type: ClassVar[type]
    title: ClassVar[str]

    @abstractmethod
    def accuracy_of_cell(self, cell: Any) -> Accuracy:
        """Return the accuracy in a measured cell."""

    @abstractmethod
    def tried_before(self, row: tuple, column: int) -> tuple:
        """Return the cells of a row that are measured before that of ``column``."""

    @abstractmethod
    def heading(self, step: Any) -> str:
        """Return what stands above a column."""

    @property
    def total(self) -> int:
        """How many points the table has room for."""
        return len(self.layers) * len(self._steps)

    @property
    def done(self) -> int:
        """How many points are settled: measured, or skipped by the early exit."""
        return sum(self.is_settled(name, step) for name in self.layers for step in self._steps)

    def is_settled(self, layer: str, step: Any) -> bool:
        """Return whether a point is measured, or skipped since an earlier one fell too far.

        Raises:
            ValueError: the table has no such layer or step.
        """
        row, column = self._cells[self._row(layer)], self._column(step)
        tried = self.tried_before(row, column)
        return row[column] is not None or any(self._too_low(cell) for cell in tried)

    def with_point(self, layer: str, step: Any, point: Any) -> Self:
        """Return the table with one point more.

        Raises:
            ValueError: the table has no such layer or step.
        """
        rows = [list(row) for row in self._cells]
        rows[self._row(layer)][self._column(step)] = point
        return dataclasses.replace(self, **{self.cells_field: tuple(map(tuple, rows))})

    def check_form(self) -> None:
        """Check that the parts fit together; the steps are the subclass's own to check.

        Raises:
            TypeError, ValueError: they do not.
        """
        if self.tolerance is not None:
            check_fraction("tolerance", self.tolerance, allow_one=True)
        named = all(isinstance(name, str) for name in self.layers)
        if not self.layers or not named or len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers must be different names, at least one, got {self.layers!r}.")
        shape = (len(self.layers), len(self._steps))
        if len(self._cells) != shape[0] or {len(row) for row in self._cells} != {shape[1]}:
            raise ValueError(
                f"{self.cells_field} must hold {shape[0]} rows of {shape[1]}, one row a layer, got "
                f"rows of {', '.join(str(len(row)) for row in self._cells) or 'none'}."
            )
        if not isinstance(self.baseline, Accuracy):
            raise TypeError(f"baseline must be an Accuracy, got {type(self.baseline).__name__}.")
        for cell in itertools.chain(*self._cells):
            self._check_cell(cell)

    def _check_cell(self, cell: Any) -> None:
        if cell is None:
            return
        if not isinstance(cell, self.cell_type):
            kind = self.cell_type.__name__
            article = "an" if kind[0] in "AEIOU" else "a"
            raise TypeError(f"a point must be {article} {kind} or None, got {type(cell).__name__}.")
        total = self.accuracy_of_cell(cell).total
        if total != self.baseline.total:
            raise ValueError(
                f"a point must be of the baseline's {self.baseline.total} examples, got {total}."
            )

    def __str__(self) -> str:
        return text_table(self._table())

    def _repr_html_(self) -> str:
        return html_table(self._table())

    def _table(self) -> list[list[str]]:
        head = [self.title, *map(self.heading, self._steps)]
        named = zip(self.layers, self._cells, strict=True)
        return [head, *([name, *map(self._text, row)] for name, row in named)]

    def _text(self, cell: Any) -> str:
        return "-" if cell is None else format_percent(self.accuracy_of_cell(cell).value)

    def _too_low(self, cell: Any) -> bool:
        if self.tolerance is None or cell is None:
            return False
        drop = self.baseline.value - self.accuracy_of_cell(cell).value
        return drop > self.tolerance + _ROUNDING

    def _row(self, layer: str) -> int:
        return self.layers.index(check_choice("layer", layer, self.layers))

    @abstractmethod
    def _column(self, step: Any) -> int:
        """Return the column of a step, or raise that there is none."""

    @property
    def _steps(self) -> tuple:
        return getattr(self, self.steps_field)

    @property
    def _cells(self) -> tuple:
        return getattr(self, self.cells_field)


def check_same_scan(known: Any, kind: type[LayerScan], layers: tuple, steps: tuple) -> None:
    """Check that ``known`` is a table of this kind, of these layers and steps.

    Raises:
        TypeError, ValueError: it is not.
    """
    if not isinstance(known, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"known must be {article} {kind.__name__}, got {type(known).__name__}.")
    for what, ours, theirs in (
        ("layers", layers, known.layers),
        (kind.steps_field, steps, getattr(known, kind.steps_field)),
    ):
        if ours != theirs:
            raise ValueError(
                f"known must be of the same {what}, {', '.join(map(str, ours))}, got "
                f"{', '.join(map(str, theirs))}. Leave it out to begin anew."
            )


def check_same_baseline(known: Accuracy, measured: Accuracy, before: str) -> None:
    """Check that a model reaches what it reached when ``known`` was measured.

    Args:
        known: baseline of the earlier scan.
        measured: baseline of this one.
        before: what the scan does to layers, ``"pruning"``.

    Raises:
        ValueError: it does not.
    """
    if known != measured:
        raise ValueError(
            f"known must be of the same model and split, with {measured.correct} of "
            f"{measured.total} right before {before}, got {known.correct} of {known.total}. "
            f"Leave it out to begin anew."
        )

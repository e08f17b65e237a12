"""Sensitivity: the table that a scan fills, layer by sparsity, and its plain JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lwlab.checks import check_choice, check_fraction
from lwlab.measure import Accuracy
from lwlab.measure.tables import html_table, text_table
from lwlab.units import format_percent

__all__ = ["Points", "Sensitivity", "check_sparsities"]

Points = tuple[tuple[Accuracy | None, ...], ...]

_FORMAT = "lwlab sensitivity 1"
_ROUNDING = 1e-9  # 0.4 - 0.3 is a little more than 0.1 in floating point


@dataclass(frozen=True)
class Sensitivity:
    """The accuracy of a model with one layer pruned, for each layer and sparsity.

    Attributes:
        baseline: accuracy of the model as it came.
        layers: names, in the model's order.
        sparsities: fractions in [0, 1), rising.
        accuracies: a row a layer, a point a sparsity; None where nothing was measured (yet).
        tolerance: early exit: in a row, what comes after a point that lies more than this below
            the baseline is skipped; None where nothing is.

    Raises:
        TypeError, ValueError: the parts do not fit together.
    """

    baseline: Accuracy
    layers: tuple[str, ...]
    sparsities: tuple[float, ...]
    accuracies: Points
    tolerance: float | None = None

    def __post_init__(self) -> None:
        check_sparsities(self.sparsities)
        if self.tolerance is not None:
            check_fraction("tolerance", self.tolerance, allow_one=True)
        named = all(isinstance(name, str) for name in self.layers)
        if not self.layers or not named or len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers must be different names, at least one, got {self.layers!r}.")
        shape = (len(self.layers), len(self.sparsities))
        if len(self.accuracies) != shape[0] or {len(r) for r in self.accuracies} != {shape[1]}:
            raise ValueError(
                f"accuracies must hold {shape[0]} rows of {shape[1]} points, one row a layer, got "
                f"rows of {', '.join(str(len(row)) for row in self.accuracies) or 'none'}."
            )
        for point in (self.baseline, *(p for row in self.accuracies for p in row if p is not None)):
            if not isinstance(point, Accuracy):
                raise TypeError(f"a point must be an Accuracy or None, got {type(point).__name__}.")
            if point.total != self.baseline.total:
                raise ValueError(
                    f"a point must be of the baseline's {self.baseline.total} examples, got "
                    f"{point.total}."
                )

    @classmethod
    def empty(
        cls,
        baseline: Accuracy,
        layers: Sequence[str],
        sparsities: Sequence[float],
        tolerance: float | None = None,
    ) -> Sensitivity:
        """Return a table in which nothing is measured yet."""
        rows = ((None,) * len(sparsities),) * len(layers)
        return cls(baseline, tuple(layers), tuple(sparsities), rows, tolerance)

    @property
    def total(self) -> int:
        """How many points the table has room for."""
        return len(self.layers) * len(self.sparsities)

    @property
    def done(self) -> int:
        """How many points are settled: measured, or skipped by the early exit."""
        return sum(self.is_settled(name, s) for name in self.layers for s in self.sparsities)

    @property
    def measured(self) -> int:
        """How many points are measured."""
        return sum(point is not None for row in self.accuracies for point in row)

    def accuracy_at(self, layer: str, sparsity: float) -> Accuracy | None:
        """Return the accuracy with ``layer`` alone pruned; the baseline at sparsity 0.

        Returns:
            None where nothing was measured.

        Raises:
            ValueError: the table has no such layer or sparsity.
        """
        row = self.accuracies[self._row(layer)]
        if sparsity == 0 and 0 not in self.sparsities:
            return self.baseline
        return row[self._column(sparsity)]

    def drop_at(self, layer: str, sparsity: float) -> float | None:
        """Return the baseline's accuracy minus ``accuracy_at``, a fraction in [-1, 1].

        Negative where the pruned model does better. None where nothing was measured.

        Raises:
            ValueError: the table has no such layer or sparsity.
        """
        point = self.accuracy_at(layer, sparsity)
        return None if point is None else self.baseline.value - point.value

    def is_settled(self, layer: str, sparsity: float) -> bool:
        """Return whether a point is measured, or skipped since an earlier one fell too far.

        Raises:
            ValueError: the table has no such layer or sparsity.
        """
        row, column = self.accuracies[self._row(layer)], self._column(sparsity)
        return row[column] is not None or any(self._too_low(point) for point in row[:column])

    def with_point(self, layer: str, sparsity: float, point: Accuracy) -> Sensitivity:
        """Return the table with one point more.

        Raises:
            ValueError: the table has no such layer or sparsity.
        """
        rows = [list(row) for row in self.accuracies]
        rows[self._row(layer)][self._column(sparsity)] = point
        return dataclasses.replace(self, accuracies=tuple(tuple(row) for row in rows))

    def to_json(self) -> str:
        """Return the table as plain JSON: texts, numbers and null; ``from_json`` reads it."""
        rows = [[_as_pair(point) for point in row] for row in self.accuracies]
        return json.dumps(
            {
                "format": _FORMAT,
                "baseline": _as_pair(self.baseline),
                "layers": self.layers,
                "sparsities": self.sparsities,
                "tolerance": self.tolerance,
                "accuracies": rows,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Sensitivity:
        """Return the table that ``to_json`` wrote; the text may come from a stranger.

        Raises:
            ValueError: it is no such text; the sentence says why.
        """
        try:
            content = json.loads(text)
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}")
            return cls(
                Accuracy(*content["baseline"]),
                tuple(content["layers"]),
                check_sparsities(content["sparsities"]),
                tuple(tuple(_as_point(pair) for pair in row) for row in content["accuracies"]),
                content["tolerance"],
            )
        # Whatever a stranger's text does to the parts: one sentence.
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise ValueError(
                f"text must be what Sensitivity.to_json() wrote, got something else: "
                f"{type(error).__name__}: {error}"
            ) from error

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[list[str]]:
        head = ["accuracy with one layer pruned", *(f"{100 * s:g} %" for s in self.sparsities)]
        body = [
            [name, *("-" if p is None else format_percent(p.value) for p in row)]
            for name, row in zip(self.layers, self.accuracies, strict=True)
        ]
        return [head, *body]

    def _too_low(self, point: Accuracy | None) -> bool:
        if self.tolerance is None or point is None:
            return False
        return self.baseline.value - point.value > self.tolerance + _ROUNDING

    def _row(self, layer: str) -> int:
        return self.layers.index(check_choice("layer", layer, self.layers))

    def _column(self, sparsity: float) -> int:
        if sparsity not in self.sparsities:
            allowed = ", ".join(f"{value:g}" for value in self.sparsities)
            raise ValueError(f"sparsity must be one that was scanned, {allowed}, got {sparsity!r}.")
        return self.sparsities.index(sparsity)


def check_sparsities(sparsities: Iterable[float]) -> tuple[float, ...]:
    """Return ``sparsities`` as a tuple of fractions in [0, 1), each above the one before.

    Raises:
        TypeError: one is not a number, or they are no list.
        ValueError: one is out of range, they do not rise, or there is none.
    """
    if isinstance(sparsities, str) or not isinstance(sparsities, Iterable):
        raise TypeError(
            f"sparsities must be a list of fractions in [0, 1), got {sparsities!r}. "
            f"Try [0.5, 0.8, 0.9]."
        )
    values = tuple(check_fraction("sparsities", value) for value in sparsities)
    if not values or any(low >= high for low, high in itertools.pairwise(values)):
        raise ValueError(
            f"sparsities must rise, at least one, got {list(values)}. Try [0.5, 0.8, 0.9]."
        )
    return values


def _as_pair(point: Accuracy | None) -> list[int] | None:
    return None if point is None else [point.correct, point.total]


def _as_point(pair: Any) -> Accuracy | None:
    return None if pair is None else Accuracy(*pair)

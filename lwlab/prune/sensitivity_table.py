"""Sensitivity: the table that a scan fills, layer by sparsity, and its plain JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lwlab.checks import check_fraction
from lwlab.measure import Accuracy
from lwlab.measure.layer_scan import LayerScan

__all__ = ["Points", "Sensitivity", "check_sparsities"]

Points = tuple[tuple[Accuracy | None, ...], ...]

_FORMAT = "lwlab sensitivity 1"


@dataclass(frozen=True)
class Sensitivity(LayerScan):
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

    steps_field = "sparsities"
    cells_field = "accuracies"
    cell_type = Accuracy
    title = "accuracy with one layer pruned"

    def __post_init__(self) -> None:
        check_sparsities(self.sparsities)
        self.check_form()

    def accuracy_of_cell(self, cell: Accuracy) -> Accuracy:
        """Return the cell: it is an accuracy."""
        return cell

    def tried_before(self, row: tuple, column: int) -> tuple:
        """Return the cells of lower sparsities."""
        return row[:column]

    def heading(self, step: float) -> str:
        """Return the sparsity in percent."""
        return f"{100 * step:g} %"

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

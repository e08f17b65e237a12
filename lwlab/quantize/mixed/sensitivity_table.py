"""Bit sensitivity: the table that a scan fills, layer by width, and its plain JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lwlab.checks import check_choice, check_count, check_fraction
from lwlab.measure import Accuracy
from lwlab.measure.tables import html_table, text_table
from lwlab.quantize.mixed.bit_point import BitPoint
from lwlab.units import format_percent

__all__ = ["BitSensitivity", "check_widths"]

_FORMAT = "lwlab bit sensitivity 1"
_ROUNDING = 1e-9  # 0.4 - 0.3 is a little more than 0.1 in floating point


Points = tuple[tuple[BitPoint | None, ...], ...]


@dataclass(frozen=True)
class BitSensitivity:
    """What a model gives with one layer quantized, for each layer and width.

    Attributes:
        baseline: accuracy of the model as it came.
        layers: names, in the model's order.
        bits: widths, 1 to 8, rising.
        points: a row a layer, a point a width; None where nothing was measured (yet).
        tolerance: early exit: in a row, what is narrower than a width that lies more than this
            below the baseline is skipped; None where nothing is.

    Raises:
        TypeError, ValueError: the parts do not fit together.
    """

    baseline: Accuracy
    layers: tuple[str, ...]
    bits: tuple[int, ...]
    points: Points
    tolerance: float | None = None

    def __post_init__(self) -> None:
        check_widths(self.bits)
        if self.tolerance is not None:
            check_fraction("tolerance", self.tolerance, allow_one=True)
        named = all(isinstance(name, str) for name in self.layers)
        if not self.layers or not named or len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers must be different names, at least one, got {self.layers!r}.")
        shape = (len(self.layers), len(self.bits))
        if len(self.points) != shape[0] or {len(row) for row in self.points} != {shape[1]}:
            raise ValueError(
                f"points must hold {shape[0]} rows of {shape[1]}, one row a layer, got rows of "
                f"{', '.join(str(len(row)) for row in self.points) or 'none'}."
            )
        if not isinstance(self.baseline, Accuracy):
            raise TypeError(f"baseline must be an Accuracy, got {type(self.baseline).__name__}.")
        for point in itertools.chain(*self.points):
            self._check_point(point)

    def _check_point(self, point: Any) -> None:
        if point is None:
            return
        if not isinstance(point, BitPoint):
            raise TypeError(f"a point must be a BitPoint or None, got {type(point).__name__}.")
        if point.accuracy.total != self.baseline.total:
            raise ValueError(
                f"a point must be of the baseline's {self.baseline.total} examples, got "
                f"{point.accuracy.total}."
            )

    @classmethod
    def empty(
        cls,
        baseline: Accuracy,
        layers: Sequence[str],
        bits: Sequence[int],
        tolerance: float | None = None,
    ) -> BitSensitivity:
        """Return a table in which nothing is measured yet."""
        rows = ((None,) * len(bits),) * len(layers)
        return cls(baseline, tuple(layers), tuple(bits), rows, tolerance)

    @property
    def accuracies(self) -> tuple[tuple[Accuracy | None, ...], ...]:
        """The accuracy of each point, a row a layer; None where nothing was measured."""
        return tuple(tuple(p and p.accuracy for p in row) for row in self.points)

    @property
    def total(self) -> int:
        """How many points the table has room for."""
        return len(self.layers) * len(self.bits)

    @property
    def done(self) -> int:
        """How many points are settled: measured, or skipped by the early exit."""
        return sum(self.is_settled(name, width) for name in self.layers for width in self.bits)

    def point_at(self, layer: str, num_bits: int) -> BitPoint | None:
        """Return what was measured with ``layer`` alone at ``num_bits``; None if nothing was.

        Raises:
            ValueError: the table has no such layer or width.
        """
        return self.points[self._row(layer)][self._column(num_bits)]

    def drop_at(self, layer: str, num_bits: int) -> float | None:
        """Return the baseline's accuracy minus that of a point, a fraction in [-1, 1].

        Negative where the quantized model does better. None where nothing was measured.

        Raises:
            ValueError: the table has no such layer or width.
        """
        point = self.point_at(layer, num_bits)
        return None if point is None else self.baseline.value - point.accuracy.value

    def is_settled(self, layer: str, num_bits: int) -> bool:
        """Return whether a point is measured, or skipped since a wider one fell too far.

        Raises:
            ValueError: the table has no such layer or width.
        """
        row, column = self.points[self._row(layer)], self._column(num_bits)
        return row[column] is not None or any(self._too_low(p) for p in row[column + 1 :])

    def with_point(self, layer: str, num_bits: int, point: BitPoint) -> BitSensitivity:
        """Return the table with one point more.

        Raises:
            ValueError: the table has no such layer or width.
        """
        rows = [list(row) for row in self.points]
        rows[self._row(layer)][self._column(num_bits)] = point
        return dataclasses.replace(self, points=tuple(tuple(row) for row in rows))

    def to_json(self) -> str:
        """Return the table as plain JSON: texts, numbers and null; ``from_json`` reads it."""
        rows = [[point and point.as_list() for point in row] for row in self.points]
        return json.dumps(
            {
                "format": _FORMAT,
                "baseline": [self.baseline.correct, self.baseline.total],
                "layers": self.layers,
                "bits": self.bits,
                "tolerance": self.tolerance,
                "points": rows,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> BitSensitivity:
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
                check_widths(content["bits"]),
                tuple(
                    tuple(parts and BitPoint.from_list(parts) for parts in row)
                    for row in content["points"]
                ),
                content["tolerance"],
            )
        # Whatever a stranger's text does to the parts: one sentence.
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise ValueError(
                f"text must be what BitSensitivity.to_json() wrote, got something else: "
                f"{type(error).__name__}: {error}"
            ) from error

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[list[str]]:
        head = ["accuracy with one layer quantized", *(f"{width} bits" for width in self.bits)]
        body = [
            [name, *("-" if a is None else format_percent(a.value) for a in row)]
            for name, row in zip(self.layers, self.accuracies, strict=True)
        ]
        return [head, *body]

    def _too_low(self, point: BitPoint | None) -> bool:
        if self.tolerance is None or point is None:
            return False
        return self.baseline.value - point.accuracy.value > self.tolerance + _ROUNDING

    def _row(self, layer: str) -> int:
        return self.layers.index(check_choice("layer", layer, self.layers))

    def _column(self, num_bits: int) -> int:
        if num_bits not in self.bits:
            allowed = ", ".join(map(str, self.bits))
            raise ValueError(f"num_bits must be one that was scanned, {allowed}, got {num_bits!r}.")
        return self.bits.index(num_bits)


def check_widths(bits: Iterable[int]) -> tuple[int, ...]:
    """Return ``bits`` as a tuple of whole numbers from 1 to 8, each above the one before.

    Raises:
        TypeError: one is not a number, or they are no list.
        ValueError: one is out of range, they do not rise, or there is none.
    """
    if isinstance(bits, str) or not isinstance(bits, Iterable):
        raise TypeError(f"bits must be a list of widths from 1 to 8, got {bits!r}. Try [2, 4, 8].")
    widths = tuple(check_count("bits", width, maximum=8) for width in bits)
    if not widths or any(low >= high for low, high in itertools.pairwise(widths)):
        raise ValueError(f"bits must rise, at least one, got {list(widths)}. Try [2, 4, 8].")
    return widths

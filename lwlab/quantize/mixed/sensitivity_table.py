"""Bit sensitivity: the table that a scan fills, layer by width, and its plain JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lwlab.checks import check_count
from lwlab.measure import Accuracy
from lwlab.measure.layer_scan import LayerScan
from lwlab.quantize.mixed.bit_point import BitPoint

__all__ = ["BitSensitivity", "check_widths"]

_FORMAT = "lwlab bit sensitivity 1"


Points = tuple[tuple[BitPoint | None, ...], ...]


@dataclass(frozen=True)
class BitSensitivity(LayerScan):
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

    steps_field = "bits"
    cells_field = "points"
    cell_type = BitPoint
    title = "accuracy with one layer quantized"

    def __post_init__(self) -> None:
        check_widths(self.bits)
        self.check_form()

    def accuracy_of_cell(self, cell: BitPoint) -> Accuracy:
        """Return the accuracy of a point."""
        return cell.accuracy

    def tried_before(self, row: tuple, column: int) -> tuple:
        """Return the cells of greater widths."""
        return row[column + 1 :]

    def heading(self, step: int) -> str:
        """Return the width in words."""
        return f"{step} bits"

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

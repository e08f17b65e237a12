"""Scale: from what an axis of a plotly figure counts to pixels of a still picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

__all__ = ["Scale", "make_scale", "values_of"]


@dataclass(frozen=True)
class Scale:
    """One axis: a range of values laid over a range of pixels.

    Attributes:
        low, high: values at the two ends; categories count 0, 1, 2, ...
        start, end: pixels of ``low`` and ``high``.
        categories: position of each category by name; empty for an axis of numbers.
        labels: what is written at given values; None where the axis chooses its own.
    """

    low: float
    high: float
    start: float
    end: float
    categories: dict[Any, int]
    labels: tuple[tuple[Any, str], ...] | None = None

    def place(self, value: Any) -> float:
        """Return the pixel of a value or category; NaN for NaN."""
        number = self.categories.get(value, value) if self.categories else value
        share = (float(number) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return pixel and text of each mark."""
        if self.labels is not None:
            known = [
                (v, text)
                for v, text in self.labels
                if not isinstance(v, str) or v in self.categories
            ]
            return [(self.place(value), text) for value, text in known]
        if self.categories:
            return [(self.place(name), str(name)) for name in self.categories]
        low, high = sorted((self.low, self.high))
        marks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high)
        slack = 1e-9 * (high - low)
        return [(self.place(v), _short(v)) for v in marks if low - slack <= v <= high + slack]


def make_scale(settings: dict[str, Any], values: Sequence[Any], start: float, end: float) -> Scale:
    """Return the scale of a plotly axis.

    Args:
        settings: the axis in the figure's layout.
        values: everything that is drawn along it.
        start: pixel of its lower end.
        end: pixel of its upper end.
    """
    categories: dict[Any, int] = {}
    if settings.get("type") == "category" or any(isinstance(value, str) for value in values):
        names = dict.fromkeys([*settings.get("categoryarray", ()), *values])
        categories = {name: i for i, name in enumerate(names)}
    low, high = settings.get("range") or _range(categories, values)
    if settings.get("autorange") == "reversed":
        low, high = high, low
    labels = None
    if "tickvals" in settings:
        texts = settings.get("ticktext") or [str(value) for value in settings["tickvals"]]
        labels = tuple(zip(settings["tickvals"], texts, strict=False))
    return Scale(low, high, start, end, categories, labels)


def values_of(trace: dict[str, Any], name: str) -> list[Any]:
    """Return the values of a trace, also where plotly has packed an array; None becomes NaN."""
    values = trace.get(name)
    if isinstance(values, dict):
        values = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()
    return [float("nan") if value is None else value for value in values or ()]


def _range(categories: dict[Any, int], values: Sequence[Any]) -> tuple[float, float]:
    if categories:
        return -0.5, len(categories) - 0.5
    finite = [float(value) for value in values if np.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _short(value: float) -> str:
    """Return a number for a mark of an axis: ``0.25``, ``3000``, ``50k``, ``1.5M``."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(unit, 1e4):
            return f"{value / unit:g}{name}"
    return f"{value if abs(value) > 1e-12 else 0:g}"

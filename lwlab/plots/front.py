"""The Pareto front: accuracy against bytes, where only what nothing else beats counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure

from lwlab.plots.template import BLUE, GREEN, GREY, ORANGE, axis, build, legend, plain_text
from lwlab.units import format_bytes, format_percent

__all__ = ["FrontPoint", "pareto_front_plot"]

_SMALLEST, _LARGEST = 1, 1 << 50
_ROOM = 1.5  # the axis of bytes reaches so many times beyond its points
_FIRST_RATIO = 20  # of sizes that are shown at least
_STEP = 10  # percent: the axis of accuracy ends at a multiple


@dataclass(frozen=True)
class FrontPoint:
    """One try.

    Attributes:
        label: what it is, in a few words.
        accuracy: fraction right.
        size_bytes: length of its file.
        key: what a click on it tells; empty for a point that is not to be clicked.
    """

    label: str
    accuracy: float
    size_bytes: int
    key: str = ""


def pareto_front_plot(
    tries: Sequence[FrontPoint],
    front: Sequence[FrontPoint],
    *,
    run: Sequence[FrontPoint] = (),
    chosen: FrontPoint | None = None,
    baseline: FrontPoint | None = None,
    title: str = "Accuracy against bytes",
) -> Figure:
    """Return all tries as ghosts, the front as stairs, and the steps of one run as a numbered path.

    The axis of bytes is logarithmic: a file of half the size is one step to the left, anywhere.

    Args:
        tries: all of them, the front and the run may be among them.
        front: those that no other one beats, from the smallest file on.
        run: what the steps of a run left, in their order.
        chosen: the try that was clicked.
        baseline: the network before anything was done to it.
        title: above the plot.

    Raises:
        ValueError: there is no point at all, or one is not of 1 byte or more.
    """
    several = (("tries", tries), ("the front", front), ("this run", run))
    ones = (("before", baseline), ("chosen", chosen))
    groups = {name: list(points) for name, points in several if points}
    groups |= {name: [point] for name, point in ones if point is not None}
    everything = [point for points in groups.values() for point in points]
    if not everything:
        raise ValueError("tries must hold at least one point, got none.")
    for point in everything:
        if not _SMALLEST <= point.size_bytes <= _LARGEST:
            raise ValueError(f"size_bytes must be at least 1, got {point.size_bytes!r}.")
    return build(
        [_trace(name, points) for name, points in groups.items()],
        title=title,
        summary=_summary(len(tries), front, run),
        plot_height=260,
        legend_rows=2,
        xaxis=_byte_axis([point.size_bytes for point in everything]),
        yaxis=_percent_axis([point.accuracy for point in everything]),
        **legend(),
    )


def _trace(name: str, points: Sequence[FrontPoint]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": name,
        "x": [point.size_bytes for point in points],
        "y": [100 * point.accuracy for point in points],
        "customdata": [point.key for point in points],
        "text": [_hover(point) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
        **_LOOKS[name],
        **({"texttemplate": _numbers(points)} if name == "this run" else {}),
    }


_LOOKS: dict[str, dict[str, Any]] = {
    "tries": {"mode": "markers", "marker": {"color": GREY, "size": 7, "opacity": 0.5}},
    "the front": {
        "mode": "lines+markers",
        "line": {"color": GREEN, "width": 2, "shape": "hv"},
        "marker": {"color": GREEN, "size": 9, "symbol": "square"},
    },
    "this run": {
        "mode": "lines+markers+text",
        "line": {"color": BLUE, "width": 1, "dash": "dot"},
        "marker": {"color": BLUE, "size": 10, "symbol": "diamond"},
        "textposition": "top center",
        "textfont": {"size": 12},
        "cliponaxis": False,
    },
    "before": {
        "mode": "markers",
        "marker": {
            "color": BLUE,
            "size": 12,
            "symbol": "circle-open",
            "line": {"width": 2, "color": BLUE},
        },
    },
    "chosen": {
        "mode": "markers",
        "marker": {
            "color": ORANGE,
            "size": 18,
            "symbol": "circle-open",
            "line": {"width": 3, "color": ORANGE},
        },
    },
}


def _numbers(points: Sequence[FrontPoint]) -> list[str]:
    """Return 1, 2, ... for the points; those that stand in one place share what is written."""
    places: dict[tuple[int, float], list[int]] = {}
    for number, point in enumerate(points, start=1):
        places.setdefault((point.size_bytes, point.accuracy), []).append(number)
    shown = {numbers[0]: ", ".join(map(str, numbers)) for numbers in places.values()}
    return [shown.get(number, "") for number in range(1, len(points) + 1)]


def _hover(point: FrontPoint) -> str:
    return (
        f"{plain_text(point.label)}<br>{format_percent(point.accuracy)} right from "
        f"{format_bytes(point.size_bytes)}"
    )


def _byte_axis(sizes: Sequence[int]) -> dict[str, Any]:
    # Room for what is to come: the axis should not jump at each new try.
    lowest = min(*sizes, max(sizes) / _FIRST_RATIO)
    low, high = max(lowest / _ROOM, 0.9), max(sizes) * _ROOM
    marks = [mark for mark in _marks() if low <= mark <= high]
    return axis(
        "size of the file",
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=marks,
        ticktext=[_short(mark) for mark in marks],
    )


def _marks() -> list[int]:
    """Return 1, 2, 5, 10, 20, 50, ... bytes."""
    return [n * 10**power for power in range(16) for n in (1, 2, 5)]


def _short(size: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


def _percent_axis(accuracies: Sequence[float]) -> dict[str, Any]:
    """Return an axis that ends above 100, where no number stands."""
    lowest = min(80, max(0, math.floor(100 * min(accuracies) / _STEP - 0.5) * _STEP))
    step = 2 * _STEP if lowest < 50 else _STEP if lowest < 80 else _STEP // 2
    marks = list(range(100, lowest - 1, -step))
    return axis("accuracy (%)", range=[lowest, 104], tickvals=marks)


def _summary(count: int, front: Sequence[FrontPoint], run: Sequence[FrontPoint]) -> str:
    best = ", ".join(
        f"{format_percent(point.accuracy)} from {format_bytes(point.size_bytes)}" for point in front
    )
    text = f"{count} tries; on the front {best}." if front else f"{count} tries."
    if not run:
        return text
    last = run[-1]
    return (
        f"{text} This run has {len(run)} steps, the last one at {format_percent(last.accuracy)} "
        f"from {format_bytes(last.size_bytes)}."
    )

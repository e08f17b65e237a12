"""Students beside their teacher: how they learn, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.lines import LOOKS, legend_rows
from lwlab.plots.template import axis, build, legend, plain_text
from lwlab.plots.tradeoff import TradeoffPoint, hover_text, size_unit
from lwlab.units import format_bytes, format_percent

__all__ = ["student_curves", "students_against_size"]

_TEACHER = LOOKS[0]
_STUDENTS = (LOOKS[3], LOOKS[1], LOOKS[2])  # the second, distilled, is the blue one
_LOWEST = 10  # the axis begins at a multiple of this many points
_ROOM = 8  # points that stay free below the lowest student


class RecordLike(Protocol):
    """The fields of ``lwlab.train.Record`` that are drawn."""

    step: int
    total_steps: int
    validation_accuracy: float | None


def student_curves(
    records: Mapping[str, Sequence[RecordLike]],
    *,
    teacher: float,
    title: str = "Students while they learn",
) -> Figure:
    """Return accuracy on validation against the step, a line a student, over the teacher's.

    The axis begins a little below the student that is lowest now, at a full ten: what counts are
    a few points at the end.

    Args:
        records: what ``fit`` yielded so far, by the name of the student; at most three students.
        teacher: its fraction right, a level line.
        title: above the plot.

    Raises:
        ValueError: there are more students than lines can be told apart.
    """
    looks = student_looks(records)
    scored = {
        name: [r for r in rows if r.validation_accuracy is not None]
        for name, rows in records.items()
    }
    end = max((r.total_steps for rows in records.values() for r in rows), default=1)
    newest = {n: rows[-1].validation_accuracy for n, rows in scored.items() if rows}
    level = {"x": [0, end], "y": [100 * teacher] * 2, "mode": "lines"}
    traces = [{**_look("teacher", _TEACHER), **level}]
    traces += [_curve(name, rows, looks[name]) for name, rows in scored.items()]
    now = ", ".join(f"{name} {format_percent(value)}" for name, value in newest.items())
    return build(
        traces,
        title=title,
        summary=f"Accuracy on validation against step: {now or 'no student scored yet'}; "
        f"teacher {format_percent(teacher)}.",
        legend_rows=legend_rows(len(traces)),
        xaxis=axis("step", range=[0, 1.02 * end]),
        yaxis=axis("right on validation (%)", range=[_bottom([*newest.values(), teacher]), 102]),
        **legend(),
    )


def student_looks(names: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Return colour, dash and marker of each student, in their order.

    Raises:
        ValueError: there are more students than lines can be told apart.
    """
    if len(names) > len(_STUDENTS):
        raise ValueError(
            f"records must hold at most {len(_STUDENTS)} students, got {len(names)}: more lines "
            f"cannot be told apart."
        )
    return dict(zip(names, _STUDENTS, strict=False))


def _bottom(values: Sequence[float]) -> float:
    lowest = 100 * min(values) - _ROOM
    return max(0, _LOWEST * math.floor(lowest / _LOWEST))


def _look(name: str, look: tuple[str, str, str]) -> dict[str, Any]:
    color, dash, symbol = look
    return {
        "type": "scatter",
        "name": plain_text(name),
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {
            "color": color,
            "size": 7,
            "symbol": symbol,
            "line": {"width": 2, "color": color},
        },
        "hovertemplate": f"{plain_text(name)}: %{{y:.1f}} %<extra></extra>",
    }


def _curve(name: str, scored: Sequence[RecordLike], look: tuple[str, str, str]) -> dict[str, Any]:
    return {
        **_look(name, look),
        "mode": "lines+markers",
        "x": [r.step for r in scored],
        "y": [100 * r.validation_accuracy for r in scored],
    }


def students_against_size(
    students: Mapping[str, TradeoffPoint | None],
    *,
    teacher: TradeoffPoint,
    title: str = "Accuracy against size",
) -> Figure:
    """Return accuracy against the bytes of the packed file: each student, and the teacher.

    Args:
        students: by name, with the looks of ``student_curves``; None for one without a score yet.
        teacher: what they learn from.
        title: above the plot.

    Raises:
        ValueError: there are more students than marks can be told apart.
    """
    looks = student_looks(students)
    known = {name: point for name, point in students.items() if point is not None}
    points = {"teacher": teacher, **known}
    unit, unit_name = size_unit(max(p.size_bytes for p in points.values()))
    largest = max(p.size_bytes for p in points.values()) / unit
    found = [p.accuracy for p in points.values()]
    return build(
        [_mark(name, point, looks.get(name, _TEACHER), unit) for name, point in points.items()],
        title=title,
        summary="; ".join(
            f"{name}: {format_percent(p.accuracy)} right from {format_bytes(p.size_bytes)}"
            for name, p in points.items()
        )
        + ".",
        legend_rows=legend_rows(1 + len(students)),
        xaxis=axis(f"size of the file ({unit_name})", range=[0, 1.08 * largest]),
        yaxis=axis("right on validation (%)", range=[_bottom(found), 102]),
        **legend(),
    )


def _mark(
    name: str, point: TradeoffPoint, look: tuple[str, str, str], unit: float
) -> dict[str, Any]:
    color = look[0]
    return {
        **_look(name, look),
        "mode": "markers",
        "x": [point.size_bytes / unit],
        "y": [100 * point.accuracy],
        "text": [hover_text(point)],
        "hovertemplate": "%{text}<extra></extra>",
        "error_y": {
            "array": [100 * (point.high - point.accuracy)],
            "arrayminus": [100 * (point.accuracy - point.low)],
            "symmetric": False,
            "color": color,
            "thickness": 1,
        },
    }

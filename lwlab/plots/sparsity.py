"""Accuracy against sparsity: how far each of several networks can be pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.template import BLUE, GREEN, GREY, ORANGE, axis, build, legend, plain_text
from lwlab.units import format_interval, format_percent

__all__ = ["accuracy_against_sparsity"]

_IN_ONE_ROW = 3  # names in the legend of a cell of 360 pixels
# The first is the ghost to compare with. Dash and marker differ too: no meaning in colour alone.
_LOOKS = (
    (GREY, "dot", "circle-open"),
    (BLUE, "solid", "circle"),
    (ORANGE, "dash", "diamond"),
    (GREEN, "solid", "circle-open"),
)


class AccuracyLike(Protocol):
    """The fields of ``lwlab.measure.Accuracy`` that are drawn."""

    value: float
    low: float
    high: float


def accuracy_against_sparsity(
    curves: Mapping[str, Sequence[tuple[float, AccuracyLike]]],
    *,
    title: str = "Accuracy against sparsity",
) -> Figure:
    """Return one line for each network: its accuracy at rising sparsity, with 95 % intervals.

    Args:
        curves: (sparsity, accuracy) pairs by name, in order; the first is drawn as a ghost. An
            empty curve is left out, so that a figure can be shown before anything is measured.
        title: above the plot.

    Raises:
        ValueError: there are more than four curves.
    """
    if len(curves) > len(_LOOKS):
        raise ValueError(f"curves must be at most {len(_LOOKS)}, got {len(curves)}.")
    looks = zip(curves.items(), _LOOKS, strict=False)
    traces = [_curve(name, points, *look) for (name, points), look in looks if points]
    return build(
        traces,
        title=title,
        summary=_summary(curves),
        legend_rows=1 if len(curves) <= _IN_ONE_ROW else 2,
        xaxis=axis("zeros (%)", range=[-2, 102]),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        **legend(),
    )


def _curve(
    name: str, points: Sequence[tuple[float, AccuracyLike]], color: str, dash: str, symbol: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain_text(name),
        "x": [100 * sparsity for sparsity, _ in points],
        "y": [100 * accuracy.value for _, accuracy in points],
        "text": [_hover(name, sparsity, accuracy) for sparsity, accuracy in points],
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {
            "color": color,
            "size": 7,
            "symbol": symbol,
            "line": {"width": 2, "color": color},
        },
        "error_y": {
            "array": [100 * (accuracy.high - accuracy.value) for _, accuracy in points],
            "arrayminus": [100 * (accuracy.value - accuracy.low) for _, accuracy in points],
            "symmetric": False,
            "color": color,
            "thickness": 1,
        },
    }


def _hover(name: str, sparsity: float, accuracy: AccuracyLike) -> str:
    interval = format_interval(accuracy.low, accuracy.high)
    return (
        f"{plain_text(name)}, {format_percent(sparsity)} zeros<br>"
        f"{format_percent(accuracy.value)} right ({interval})"
    )


def _summary(curves: Mapping[str, Sequence[tuple[float, AccuracyLike]]]) -> str:
    drawn = {name: points[-1] for name, points in curves.items() if points}
    if not drawn:
        return "Accuracy against sparsity: nothing measured yet."
    ends = [
        f"{name} {format_percent(accuracy.value)} at {format_percent(sparsity)} zeros"
        for name, (sparsity, accuracy) in drawn.items()
    ]
    return f"Accuracy against sparsity; at the right end {', '.join(ends)}."

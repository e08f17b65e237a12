"""Accuracy against sparsity: how far each of several networks can be pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.lines import LOOKS, legend_rows, line_with_bars
from lwlab.plots.template import axis, build, legend, plain_text
from lwlab.units import format_interval, format_percent

__all__ = ["accuracy_against_sparsity"]


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
    if len(curves) > len(LOOKS):
        raise ValueError(f"curves must be at most {len(LOOKS)}, got {len(curves)}.")
    looks = zip(curves.items(), LOOKS, strict=False)
    traces = [_curve(name, points, look) for (name, points), look in looks if points]
    return build(
        traces,
        title=title,
        summary=_summary(curves),
        legend_rows=legend_rows(len(curves)),
        xaxis=axis("zeros (%)", range=[-2, 102]),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        **legend(),
    )


def _curve(
    name: str, points: Sequence[tuple[float, AccuracyLike]], look: tuple[str, str, str]
) -> dict[str, Any]:
    found = [accuracy for _, accuracy in points]
    return line_with_bars(
        name,
        look,
        [100 * sparsity for sparsity, _ in points],
        [100 * accuracy.value for accuracy in found],
        above=[100 * (accuracy.high - accuracy.value) for accuracy in found],
        below=[100 * (accuracy.value - accuracy.low) for accuracy in found],
        texts=[_hover(name, sparsity, accuracy) for sparsity, accuracy in points],
    )


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

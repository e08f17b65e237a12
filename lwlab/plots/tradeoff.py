"""Accuracy against size: the trade everything here is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure

from lwlab.plots.template import BLUE, GREY, ORANGE, axis, build, legend, plain_text
from lwlab.units import format_bytes, format_interval, format_percent

__all__ = ["TradeoffPoint", "accuracy_against_size", "hover_text", "size_unit"]


@dataclass(frozen=True)
class TradeoffPoint:
    """One network that was measured.

    Attributes:
        label: what the point is, in a few words.
        accuracy, low, high: fraction right, and its 95 % interval.
        size_bytes: length of its file.
    """

    label: str
    accuracy: float
    low: float
    high: float
    size_bytes: int


def accuracy_against_size(
    points: Sequence[TradeoffPoint],
    *,
    baseline: TradeoffPoint | None = None,
    current: TradeoffPoint | None = None,
    title: str = "Accuracy against size",
) -> Figure:
    """Return a plot of accuracy against bytes: earlier tries, the baseline's ghost, the present.

    Args:
        points: earlier tries, small and pale.
        baseline: the network before anything was done to it: hollow, with a dashed line.
        current: the network on screen: large, with its interval.
        title: above the plot.

    Raises:
        ValueError: there is no point at all.
    """
    everything = [*points, *(p for p in (baseline, current) if p is not None)]
    if not everything:
        raise ValueError("points must hold at least one measured network, got none.")
    traces = []
    if points:
        traces.append(_markers("tries", points, GREY, {"size": 6, "opacity": 0.6}, bars=False))
    if baseline is not None:
        traces.append(_markers("before", [baseline], BLUE, {"size": 12, "symbol": "circle-open"}))
    if current is not None:
        traces.append(_markers("now", [current], ORANGE, {"size": 12, "symbol": "diamond"}))
    largest = max(p.size_bytes for p in everything)
    unit, name = size_unit(largest)
    for trace in traces:
        trace["x"] = [size / unit for size in trace["x"]]
    return build(
        traces,
        title=title,
        summary=_summary(current or everything[-1], baseline),
        xaxis=axis(f"size of the file ({name})", range=[0, 1.08 * largest / unit]),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        shapes=_line(baseline),
        **legend(),
    )


def size_unit(size_bytes: int) -> tuple[float, str]:
    """Return the bytes of the unit that an axis up to ``size_bytes`` counts in, and its name."""
    if size_bytes >= 1e6:
        return 1e6, "MB"
    return (1e3, "kB") if size_bytes >= 1e3 else (1, "bytes")


def _markers(
    name: str, points: Sequence[TradeoffPoint], color: str, marker: dict, *, bars: bool = True
) -> dict[str, Any]:
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [p.size_bytes for p in points],
        "y": [100 * p.accuracy for p in points],
        "text": [hover_text(p) for p in points],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": color, "line": {"width": 2, "color": color}, **marker},
    }
    if bars:
        trace["error_y"] = {
            "array": [100 * (p.high - p.accuracy) for p in points],
            "arrayminus": [100 * (p.accuracy - p.low) for p in points],
            "symmetric": False,
            "color": color,
            "thickness": 2,
        }
    return trace


def hover_text(point: TradeoffPoint) -> str:
    """Return what hovering over a point shows: what it is, its accuracy, its size."""
    return (
        f"{plain_text(point.label)}<br>{format_percent(point.accuracy)} right "
        f"({format_interval(point.low, point.high)})<br>{format_bytes(point.size_bytes)}"
    )


def _line(baseline: TradeoffPoint | None) -> list[dict]:
    if baseline is None:
        return []
    y = 100 * baseline.accuracy
    line = {"color": BLUE, "width": 1, "dash": "dash"}
    return [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}]


def _summary(now: TradeoffPoint, baseline: TradeoffPoint | None) -> str:
    text = f"{format_percent(now.accuracy)} right from {format_bytes(now.size_bytes)}"
    if baseline is None:
        return f"{text}."
    before = f"{format_percent(baseline.accuracy)} from {format_bytes(baseline.size_bytes)}"
    return f"{text}; before, {before}."

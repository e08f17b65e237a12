"""A still picture of plotly figures, for pages with no kernel and no browser behind them.

A saved or exported notebook cannot run a widget; it shows this PNG in its place. It is drawn from
the same plotly figures, with their own margins and sizes in pixels, so that there is one
description of each plot. Only the kinds of trace that ``lwlab.plots`` makes are known here; a
figure of another kind gets a sentence in its place.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure

from lwlab.checks import check_count
from lwlab.plots.cells import draw_cells, is_known_heatmap
from lwlab.plots.paper import Box, Paper, text_width
from lwlab.plots.scale import Scale, make_scale, values_of
from lwlab.plots.style import bar_style, point_style

__all__ = ["snapshot_png"]

_GRID, _AXIS, _INK = "#dddddd", "#888888", "#444444"
_HEIGHT, _MARGIN = 270, {"l": 58, "r": 14, "t": 34, "b": 44}  # of figures that say nothing


def snapshot_png(figures: Sequence[Figure], columns: int = 2, width_px: int = 960) -> bytes:
    """Return a PNG of ``figures`` in a grid, on white.

    Args:
        figures: at least one plotly figure of ``lwlab.plots``.
        columns: figures side by side.
        width_px: width of the picture, at least 200 pixels a column.

    Raises:
        ValueError: there is no figure, or no room for them.
    """
    if not figures:
        raise ValueError("figures must hold at least one figure, got none.")
    columns = min(check_count("columns", columns), len(figures))
    width_px = check_count("width_px", width_px, minimum=200 * columns)
    drawings = [figure.to_dict() for figure in figures]
    rows = [drawings[i : i + columns] for i in range(0, len(drawings), columns)]
    heights = [max(_height(drawing) for drawing in row) for row in rows]
    paper = Paper(width_px, sum(heights))
    for i, row in enumerate(rows):
        for j, drawing in enumerate(row):
            _draw(paper, drawing, j * width_px / columns, sum(heights[:i]), width_px / columns)
    return paper.png()


@dataclass(frozen=True)
class _Plot:
    """Where a figure goes: the paper, the box between its axes, its two scales."""

    paper: Paper
    box: Box
    x: Scale
    y: Scale


def _height(drawing: dict[str, Any]) -> int:
    return round(drawing["layout"].get("height", _HEIGHT))


def _draw(paper: Paper, drawing: dict[str, Any], left: float, top: float, width: float) -> None:
    layout, traces = drawing["layout"], drawing["data"]
    title = layout.get("title", {})
    paper.text(left + 0.01 * width, top + 8, _text(title.get("text")), 14)
    margin = {**_MARGIN, **layout.get("margin", {})}
    bottom = top + _height(drawing) - margin["b"]
    box = (left + margin["l"], top + margin["t"], left + width - margin["r"], bottom)
    strange = _strange(layout, traces)
    if strange:
        note = f"No still picture of a {strange}: run the notebook to see it."
        paper.text(box[0], box[1], note)
        return
    x_settings, y_settings = layout.get("xaxis", {}), layout.get("yaxis", {})
    x = make_scale(x_settings, _along("x", traces), box[0], box[2])
    y = make_scale(y_settings, _along("y", traces), box[3], box[1])
    plot = _Plot(paper, box, x, y)
    _draw_grid(plot, x_settings, y_settings)
    _draw_traces(plot, traces, layout)
    _draw_shapes(plot, layout.get("shapes", ()))
    _draw_axes(plot, x_settings, y_settings, left)
    if layout.get("showlegend"):
        _draw_legend(plot, traces)


def _strange(layout: dict[str, Any], traces: Sequence[dict[str, Any]]) -> str:
    """Return what of a figure is not known here; drawing it wrongly would be a lie."""
    for trace in traces:
        if trace["type"] not in ("bar", "scatter") and not is_known_heatmap(trace):
            return trace["type"]
    for name in ("xaxis", "yaxis"):
        kind = layout.get(name, {}).get("type") or "-"
        if kind not in ("-", "linear", "category"):
            return f"{kind} axis"
    return ""


def _along(name: str, traces: Sequence[dict[str, Any]]) -> list[Any]:
    values: list[Any] = []
    for trace in traces:
        own, across = values_of(trace, name), values_of(trace, "y" if name == "x" else "x")
        values += own or range(len(across))
        if trace["type"] == "bar" and (trace.get("orientation") == "h") == (name == "x"):
            values.append(0)  # bars stand on zero
    return values


def _draw_grid(plot: _Plot, x_settings: dict[str, Any], y_settings: dict[str, Any]) -> None:
    left, top, right, bottom = plot.box
    lines: list[Box] = []
    if x_settings.get("showgrid", True):
        lines += [(x, top, x, bottom) for x, _ in plot.x.ticks()]
    if y_settings.get("showgrid", True):
        lines += [(left, y, right, y) for y, _ in plot.y.ticks()]
    plot.paper.segments(lines, color=_GRID)


def _draw_axes(
    plot: _Plot, x_settings: dict[str, Any], y_settings: dict[str, Any], edge: float
) -> None:
    left, top, right, bottom = plot.box
    paper = plot.paper
    paper.segments([(left, top, left, bottom), (left, bottom, right, bottom)], color=_AXIS)
    turned = x_settings.get("tickangle")
    level = {"ha": "right", "rotation": -turned, "rotation_mode": "anchor"} if turned else {}
    for x, text in plot.x.ticks():
        paper.text(x, bottom + 5, _text(text), 11, **{"ha": "center", **level})
    for y, text in plot.y.ticks():
        paper.text(left - 5, y, _text(text), 11, ha="right", va="center", ma="right")
    x_title = _text(x_settings.get("title", {}).get("text"))
    y_title = _text(y_settings.get("title", {}).get("text"))
    paper.text((left + right) / 2, bottom + 22, x_title, ha="center")
    paper.text(edge + 4, (top + bottom) / 2, y_title, va="center", rotation=90)


def _draw_traces(plot: _Plot, traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> None:
    gap = layout.get("bargap", 0.2)
    base: dict[Any, float] = {}
    for trace in traces:
        if trace["type"] == "bar":
            _draw_bars(plot, trace, base if layout.get("barmode") == "stack" else {}, gap)
        elif trace["type"] == "heatmap":
            draw_cells(plot.paper, trace, plot.x, plot.y, plot.box)
        else:
            _draw_points(plot, trace)


def _draw_bars(plot: _Plot, trace: dict[str, Any], base: dict[Any, float], gap: float) -> None:
    flat = trace.get("orientation") == "h"
    across, along = (plot.y, plot.x) if flat else (plot.x, plot.y)
    lengths = values_of(trace, "x" if flat else "y")
    places = values_of(trace, "y" if flat else "x") or list(range(len(lengths)))
    numbers = [across.categories.get(place, place) for place in places]
    spacing = 1 if across.categories or len(numbers) < 2 else abs(numbers[1] - numbers[0])
    half = (1 - gap) * abs(across.place(spacing) - across.place(0)) / 2 if numbers else 0
    boxes: list[Box] = []
    for place, number, length in zip(places, numbers, lengths, strict=True):
        start = base.get(place, 0.0)
        base[place] = start + length
        middle, a, b = across.place(number), along.place(start), along.place(start + length)
        boxes.append(
            (a, middle - half, b, middle + half) if flat else (middle - half, a, middle + half, b)
        )
    plot.paper.rectangles(boxes, **bar_style(trace), inside=plot.box)
    _draw_errors(plot, trace, places, lengths)
    _draw_bar_texts(plot, trace, boxes)


def _draw_bar_texts(plot: _Plot, trace: dict[str, Any], boxes: Sequence[Box]) -> None:
    places = trace.get("textposition") or "none"
    if isinstance(places, str):
        places = [places] * len(boxes)
    for box, text, place in zip(boxes, trace.get("text") or (), places, strict=False):
        x, y = box[2], (box[1] + box[3]) / 2
        if place == "inside":
            plot.paper.text(x - 4, y, _text(text), 11, "white", ha="right", va="center")
        elif place == "outside":
            plot.paper.text(x + 4, y, _text(text), 11, va="center")


def _draw_points(plot: _Plot, trace: dict[str, Any]) -> None:
    y = values_of(trace, "y")
    x = values_of(trace, "x") or list(range(len(y)))
    _draw_errors(plot, trace, x, y)
    x_px, y_px = [plot.x.place(value) for value in x], [plot.y.place(value) for value in y]
    plot.paper.line(x_px, y_px, plot.box, **point_style(trace))


def _draw_errors(plot: _Plot, trace: dict[str, Any], x: Sequence[Any], y: Sequence[Any]) -> None:
    bars = trace.get("error_y")
    if not bars:
        return
    above, below = values_of(bars, "array"), values_of(bars, "arrayminus")
    lines = []
    for place, value, up, down in zip(x, y, above, below or above, strict=True):
        middle = plot.x.place(place)
        lines.append((middle, plot.y.place(value - down), middle, plot.y.place(value + up)))
    plot.paper.segments(lines, color=bars.get("color") or _INK, width=2, inside=plot.box)


def _draw_shapes(plot: _Plot, shapes: Sequence[dict[str, Any]]) -> None:
    left, top, right, bottom = plot.box
    for shape in shapes:
        x, y = plot.x.place(shape["x0"]), plot.y.place(shape["y0"])
        color = shape["line"]["color"]
        if shape.get("type") == "rect":
            frame = (x, y, plot.x.place(shape["x1"]), plot.y.place(shape["y1"]))
            plot.paper.rectangles([frame], edge=color)
            continue
        upright = shape.get("yref") == "paper"
        line = (x, top, x, bottom) if upright else (left, y, right, y)
        plot.paper.segments([line], color=color, dash="--", inside=plot.box)


def _draw_legend(plot: _Plot, traces: Sequence[dict[str, Any]]) -> None:
    named = [t for t in traces if t.get("name") and t.get("showlegend") is not False]
    widths = [37 + text_width(_text(trace["name"])) for trace in named]
    # Over the left end of the plot; further left where the names need more room.
    x, y = min(plot.box[0] + 5, plot.box[2] - sum(widths)), plot.box[1] - 13
    for trace, width in zip(named, widths, strict=True):
        _draw_key(plot.paper, trace, x, y)
        plot.paper.text(x + 29, y, _text(trace["name"]), va="center")
        x += width


def _draw_key(paper: Paper, trace: dict[str, Any], x: float, y: float) -> None:
    if trace["type"] == "bar":
        paper.rectangles([(x + 6, y - 6, x + 18, y + 6)], **bar_style(trace))
    elif "lines" in trace.get("mode", "lines"):
        paper.line([x, x + 12, x + 24], [y, y, y], markevery=[1], **point_style(trace))
    else:
        paper.line([x + 12], [y], **point_style(trace))


def _text(text: str | None) -> str:
    """Undo plotly's HTML."""
    return html.unescape((text or "").replace("<br>", "\n"))

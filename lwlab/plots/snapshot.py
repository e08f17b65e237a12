"""A still picture of plotly figures, for pages with no kernel and no browser behind them.

A saved or exported notebook cannot run a widget; it shows this PNG in its place. Drawn by
matplotlib from the same plotly figures, so that there is one description of each plot. Only the
kinds of trace that ``lwlab.plots`` makes are known here.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from plotly.graph_objects import Figure

from lwlab.checks import check_count

__all__ = ["snapshot_png"]

_DOTS_PER_INCH = 80
_DASHES = {"solid": "-", "dash": "--", "dot": ":"}
_SYMBOLS = {"circle-open": "o", "diamond": "D"}
_CLEAR = "rgba(0,0,0,0)"


def snapshot_png(figures: Sequence[Figure], columns: int = 2, width_px: int = 960) -> bytes:
    """Return a PNG of ``figures`` in a grid, on white.

    Args:
        figures: at least one plotly figure of ``lwlab.plots``.
        columns: figures side by side.
        width_px: width of the picture.

    Raises:
        ValueError: there is no figure.
    """
    if not figures:
        raise ValueError("figures must hold at least one figure, got none.")
    columns = min(check_count("columns", columns), len(figures))
    rows = -(-len(figures) // columns)
    height = 0.6 * width_px / columns * rows
    # The object interface, never pyplot: it keeps no global state and works in any thread.
    canvas = Canvas((width_px / _DOTS_PER_INCH, height / _DOTS_PER_INCH), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False).flatten()
    for axes, figure in zip(grid, figures, strict=False):
        _draw(axes, figure.to_dict())
    for axes in grid[len(figures) :]:
        axes.set_axis_off()
    picture = io.BytesIO()
    canvas.savefig(picture, format="png", dpi=_DOTS_PER_INCH)
    return picture.getvalue()


def _draw(axes: Axes, figure: dict[str, Any]) -> None:
    layout = figure["layout"]
    stacked = layout.get("barmode") == "stack"
    base: dict[Any, float] = {}
    for trace in figure["data"]:
        if trace["type"] == "bar":
            _draw_bars(axes, trace, base if stacked else {})
        else:
            _draw_points(axes, trace)
    for shape in layout.get("shapes", ()):
        line = {"color": shape["line"]["color"], "linestyle": "--", "linewidth": 1.5}
        if shape.get("yref") == "paper":
            axes.axvline(shape["x0"], **line)
        else:
            axes.axhline(shape["y0"], **line)
    _finish(axes, layout)


def _draw_bars(axes: Axes, trace: dict[str, Any], base: dict[Any, float]) -> None:
    flat = trace.get("orientation") == "h"
    places, lengths = (trace["y"], trace["x"]) if flat else (trace["x"], trace["y"])
    starts = [base.get(place, 0.0) for place in places]
    fill, edge = _bar_colors(trace["marker"])
    draw = axes.barh if flat else axes.bar
    numeric = [p for p in places if not isinstance(p, str)]
    thickness = 0.95 * abs(numeric[1] - numeric[0]) if len(numeric) > 1 else 0.75
    pattern = trace["marker"].get("pattern", {}).get("shape") or None
    style = {"facecolor": fill, "edgecolor": edge, "hatch": pattern, "label": _label(trace)}
    start = {"left" if flat else "bottom": starts}
    bars = draw(places, lengths, thickness, **start, **style)
    for place, length in zip(places, lengths, strict=True):
        base[place] = base.get(place, 0.0) + length
    if "error_y" in trace:
        axes.errorbar(places, lengths, yerr=_errors(trace), fmt="none", ecolor="#555555")
    if flat and trace.get("text"):
        axes.bar_label(bars, trace["text"], label_type="center", fontsize=8)


def _bar_colors(marker: dict[str, Any]) -> tuple[str, str]:
    if marker["color"] == _CLEAR:
        return "none", marker["line"]["color"]
    return marker["color"], "white"


def _draw_points(axes: Axes, trace: dict[str, Any]) -> None:
    marker, line = trace.get("marker", {}), trace.get("line", {})
    symbol = marker.get("symbol", "circle")
    style = {
        "color": marker.get("color") or line.get("color"),
        "linestyle": _DASHES[line.get("dash", "solid")] if "lines" in trace["mode"] else "none",
        "marker": _SYMBOLS.get(symbol, "o") if "markers" in trace["mode"] else "",
        "markersize": 0.6 * marker.get("size", 6),
        "alpha": marker.get("opacity", 1),
        "fillstyle": "none" if symbol.endswith("open") else "full",
        "label": _label(trace),
    }
    if "error_y" in trace:
        axes.errorbar(trace["x"], trace["y"], yerr=_errors(trace), **style)
    else:
        axes.plot(trace["x"], trace["y"], **style)


def _errors(trace: dict[str, Any]) -> list[Any]:
    return [trace["error_y"]["arrayminus"], trace["error_y"]["array"]]


def _label(trace: dict[str, Any]) -> str:
    shown = trace.get("name") and trace.get("showlegend") is not False
    return _text(trace["name"]) if shown else "_hidden"


def _text(text: str) -> str:
    """Undo plotly's escapes, and keep matplotlib from reading ``$`` as mathematics."""
    return html.unescape(text).replace("$", r"\$")


def _finish(axes: Axes, layout: dict[str, Any]) -> None:
    axes.set_title(_text(layout["title"]["text"]), loc="left", fontsize=10)
    for name, limits, label in (
        ("xaxis", axes.set_xlim, axes.set_xlabel),
        ("yaxis", axes.set_ylim, axes.set_ylabel),
    ):
        settings = layout[name]
        label(_text(settings["title"].get("text") or ""), fontsize=9)
        if settings.get("range"):
            limits(*settings["range"])
    if layout["yaxis"].get("autorange") == "reversed":
        axes.invert_yaxis()
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if layout.get("showlegend") and axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, frameon=False, loc="best")

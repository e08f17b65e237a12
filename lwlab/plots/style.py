"""Style: the look of a plotly trace in the words of matplotlib."""

from __future__ import annotations

from typing import Any

from lwlab.plots.template import BLUE, OUTLINE

__all__ = ["bar_style", "point_style"]

_DASHES = {"solid": "-", "dash": "--", "dot": ":"}
_SYMBOLS = {"circle-open": "o", "diamond": "D"}


def bar_style(trace: dict[str, Any]) -> dict[str, str]:
    """Return how ``Paper.rectangles`` draws the bars of a plotly trace."""
    marker = trace.get("marker", {})
    pattern = marker.get("pattern", {}).get("shape") or ""
    if marker.get("color") == OUTLINE["color"]:
        return {"edge": marker["line"]["color"]}
    return {"fill": marker.get("color") or BLUE, "pattern": pattern}


def point_style(trace: dict[str, Any]) -> dict[str, Any]:
    """Return how ``Paper.line`` draws the lines and markers of a plotly trace."""
    marker, line = trace.get("marker", {}), trace.get("line", {})
    symbol, mode = marker.get("symbol", "circle"), trace.get("mode", "lines")
    return {
        "color": marker.get("color") or line.get("color") or BLUE,
        "linestyle": _DASHES.get(line.get("dash"), "-") if "lines" in mode else "none",
        "linewidth": line.get("width", 2),
        "marker": _SYMBOLS.get(symbol, "o") if "markers" in mode else "",
        "markersize": (0.75 if symbol == "diamond" else 1) * marker.get("size", 6),
        "markeredgewidth": 2 if symbol.endswith("open") else 0,
        "alpha": marker.get("opacity", 1),
        "fillstyle": "none" if symbol.endswith("open") else "full",
    }

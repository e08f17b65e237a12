"""The cells of a heatmap in a still picture."""

from __future__ import annotations

import math
from typing import Any

from lwlab.plots.colors import color_at, ink_on
from lwlab.plots.paper import Box, Paper
from lwlab.plots.scale import Scale

__all__ = ["draw_cells", "is_known_heatmap"]

_GAP = 1  # pixels on each side of a cell


def is_known_heatmap(trace: dict[str, Any]) -> bool:
    """Return whether a trace says all that ``draw_cells`` needs, as those of ``heatmap`` do."""
    return trace["type"] == "heatmap" and all(
        isinstance(trace.get(name), list | tuple) for name in ("x", "y", "z", "text", "colorscale")
    )


def draw_cells(paper: Paper, trace: dict[str, Any], x: Scale, y: Scale, inside: Box) -> None:
    """Draw the cells that have a value, each with its text in black or white.

    Args:
        paper: to draw on.
        trace: a plotly heatmap whose ``x`` and ``y`` count by ones.
        x: scale of the axis along a row.
        y: scale of the axis along a column.
        inside: what lies beyond is not drawn.
    """
    half_width = abs(x.place(1) - x.place(0)) / 2 - _GAP
    half_height = abs(y.place(1) - y.place(0)) / 2 - _GAP
    low, high = trace["zmin"], trace["zmax"]
    for row, values, texts in zip(trace["y"], trace["z"], trace["text"], strict=True):
        for column, value, text in zip(trace["x"], values, texts, strict=True):
            if value is None or math.isnan(value):
                continue
            middle = (x.place(column), y.place(row))
            box = _around(*middle, half_width, half_height)
            color = color_at(trace["colorscale"], (value - low) / (high - low))
            paper.rectangles([box], fill="#" + bytes(color).hex(), inside=inside)
            paper.text(*middle, text, 11, ink_on(color), ha="center", va="center")


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return (x - half_width, y - half_height, x + half_width, y + half_height)

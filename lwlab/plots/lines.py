"""Several lines in one plot: how they are told apart, each with its bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lwlab.plots.template import BLUE, GREEN, GREY, ORANGE, plain_text

__all__ = ["LOOKS", "legend_rows", "line_with_bars"]

LOOKS = (
    (GREY, "dot", "circle-open"),
    (BLUE, "solid", "circle"),
    (ORANGE, "dash", "diamond"),
    (GREEN, "solid", "circle-open"),
)
"""Colour, dash and marker of each line, so that no meaning is in a colour alone; the first is the
one to compare with."""

_IN_ONE_ROW = 3  # names in the legend of a cell of 360 pixels


def legend_rows(count: int) -> int:
    """Return how many rows a legend of ``count`` names takes on a narrow page."""
    return 1 if count <= _IN_ONE_ROW else 2


def line_with_bars(
    name: str,
    look: tuple[str, str, str],
    x: Sequence[float],
    y: Sequence[float],
    *,
    above: Sequence[float],
    below: Sequence[float],
    texts: Sequence[str],
) -> dict[str, Any]:
    """Return a plotly trace: a line through marks, a bar at each.

    Args:
        name: for the legend; drawn letter by letter.
        look: one of ``LOOKS``.
        x: places of the marks along the axis.
        y: heights of the marks.
        above: length of each bar upwards, in the unit of ``y``.
        below: the same downwards.
        texts: what hovering shows, safe for plotly.
    """
    color, dash, symbol = look
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain_text(name),
        "x": list(x),
        "y": list(y),
        "text": list(texts),
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {
            "color": color,
            "size": 7,
            "symbol": symbol,
            "line": {"width": 2, "color": color},
        },
        "error_y": {
            "array": list(above),
            "arrayminus": list(below),
            "symmetric": False,
            "color": color,
            "thickness": 1,
        },
    }

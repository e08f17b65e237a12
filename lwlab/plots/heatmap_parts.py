"""What all heatmaps share: a colour scale for colour-blind eyes, axes of cells, numbers in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lwlab.plots.colors import color_at, ink_on
from lwlab.plots.template import axis

__all__ = ["cell_axis", "cividis", "number_trace"]

_CIVIDIS = (
    (0.0, "#00224e"),
    (0.0625, "#002e6a"),
    (0.25, "#434e6c"),
    (0.49, "#7a7a78"),
    (0.64, "#9e9676"),
    (0.81, "#ccba64"),
    (1.0, "#fee838"),
)


def cividis(place: Callable[[float], float]) -> list[list[Any]]:
    """Return the colours of Cividis as a plotly colour scale, bent to where they should differ.

    Args:
        place: where, in [0, 1], the colour at p in [0, 1] of Cividis stands; it rises from 0 to 1.
    """
    return [[place(share), color] for share, color in _CIVIDIS]


def cell_axis(
    title: str, names: Sequence[str], limits: list[float], **settings: Any
) -> dict[str, Any]:
    """Return an axis that counts cells from 0 and calls them by name.

    Args:
        title: of the axis.
        names: one a cell, safe for plotly.
        limits: range of the axis; the wrong way round, the first cell is on top.
        **settings: further settings of a plotly axis.
    """
    cells = {"tickvals": list(range(len(names))), "ticktext": list(names), "tickangle": 0}
    plain = {"showgrid": False, "zeroline": False}
    return axis(title, range=limits, **{**cells, **plain, **settings})


def number_trace(
    cells: Sequence[tuple[int, int, float, str]], colors: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    """Return the numbers in the cells; a heatmap's own text reads badly on its middle colours.

    Args:
        cells: column, row, share of the colour scale in [0, 1] and text of each.
        colors: the colour scale of the heatmap.
    """
    return {
        "type": "scatter",
        "mode": "text",
        "x": [x for x, *_ in cells],
        "y": [y for _, y, *_ in cells],
        "text": [text for *_, text in cells],
        "textfont": {"size": 12, "color": [ink_on(color_at(colors, s)) for *_, s, _ in cells]},
        "hoverinfo": "skip",
    }

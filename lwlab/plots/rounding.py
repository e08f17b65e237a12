"""A small table of numbers as cells, and the same numbers on the lines of their grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plotly.graph_objects import Figure

from lwlab.plots.colors import color_at, ink_on
from lwlab.plots.template import BLUE, GREY, ORANGE, axis, build, legend

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "grid_lines", "number_table"]

MOST_ROWS, MOST_COLUMNS = 8, 10
_ROW = 30  # pixels
# From orange (negative) over white to blue (positive): two hues that colour-blind eyes tell apart.
_COLORS = [[0.0, "#b35806"], [0.25, "#f1a340"], [0.5, "#f7f7f7"], [0.75, "#67a9cf"], [1.0, BLUE]]

Table = Sequence[Sequence[float]]
Texts = Sequence[Sequence[str]]


def number_table(
    values: Table, texts: Texts, hovers: Texts, *, title: str, limit: float, summary: str
) -> Figure:
    """Return a cell for each number, its text in it, its colour from -limit to limit.

    Args:
        values: what the colours show, rows of equal length.
        texts: what stands in the cells.
        hovers: what a mouse over a cell shows, safe for plotly.
        title: above the cells.
        limit: above 0; the value of the darkest blue.
        summary: one sentence for readers who do not see the figure.

    Raises:
        ValueError: the table is empty or larger than 8 rows of 10, or the rows are not alike.
    """
    _check_table(values)
    height, width = len(values), len(values[0])
    limit = max(limit, 1e-30)
    return build(
        [_cells(values, texts, hovers, limit), _numbers(values, texts, limit)],
        title=title,
        summary=summary,
        plot_height=_ROW * height,
        left=34,
        bottom=14,
        xaxis=_bare_axis([-0.5, width - 0.5]),
        yaxis=_bare_axis([height - 0.5, -0.5]),  # the first row on top
    )


def _check_table(values: Table) -> None:
    widths = {len(row) for row in values}
    if len(widths) != 1 or not 1 <= min(widths) <= MOST_COLUMNS or len(values) > MOST_ROWS:
        raise ValueError(
            f"values must have 1 to {MOST_ROWS} rows of equal length, 1 to {MOST_COLUMNS}, got "
            f"{len(values)} rows of {', '.join(map(str, sorted(widths))) or 'no'} numbers."
        )


def _bare_axis(limits: list[float]) -> dict[str, Any]:
    return axis("", range=limits, showgrid=False, zeroline=False, showticklabels=False)


def _cells(values: Table, texts: Texts, hovers: Texts, limit: float) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": list(range(len(values[0]))),
        "y": list(range(len(values))),
        "z": [list(row) for row in values],
        "text": [list(row) for row in texts],
        "hovertext": [list(row) for row in hovers],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "zmin": -limit,
        "zmax": limit,
        "colorscale": _COLORS,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }


def _numbers(values: Table, texts: Texts, limit: float) -> dict[str, Any]:
    """Return the texts of the cells, each in the ink that reads on its colour."""
    cells = [(x, y, value) for y, row in enumerate(values) for x, value in enumerate(row)]
    colors = [color_at(_COLORS, (value / limit + 1) / 2) for *_, value in cells]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [x for x, _, _ in cells],
        "y": [y for _, y, _ in cells],
        "text": [text for row in texts for text in row],
        "textfont": {"size": 11, "color": [ink_on(color) for color in colors]},
        "hoverinfo": "skip",
    }


def grid_lines(values: Table, rounded: Table, grids: Table, *, title: str, summary: str) -> Figure:
    """Return a line for each row: the places of its grid, its numbers, and where each one went.

    Args:
        values: the numbers as they were, rows of equal length.
        rounded: the same numbers on the grid.
        grids: the places of the grid of each row, rising.
        title: above the plot.
        summary: one sentence for readers who do not see the figure.

    Raises:
        ValueError: as for ``number_table``.
    """
    _check_table(values)
    height = len(values)
    grid = [(place, y) for y, places in enumerate(grids) for place in places]
    return build(
        [
            _marks("places of the grid", grid, GREY, "line-ns-open", 14),
            _moves(values, rounded),
            _marks("before", _points(values), BLUE, "circle-open", 7),
            _marks("after", _points(rounded), ORANGE, "diamond", 6),
        ],
        title=title,
        summary=summary,
        plot_height=max(120, _ROW * height),
        left=34,
        xaxis=axis("value", zeroline=True),
        yaxis=_bare_axis([height - 0.5, -0.5]),
        **legend(),
    )


def _points(table: Table) -> list[tuple[float, int]]:
    return [(value, y) for y, row in enumerate(table) for value in row]


def _marks(
    name: str, points: list[tuple[float, int]], color: str, symbol: str, size: int
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "hovertemplate": f"{name}: %{{x:.4g}}<extra></extra>",
        "marker": {"color": color, "size": size, "symbol": symbol, "line": {"width": 1.5}},
    }


def _moves(values: Table, rounded: Table) -> dict[str, Any]:
    """Return a stroke from each number to its place; None lifts the pen."""
    x: list[float | None] = []
    y: list[int | None] = []
    for (before, row), (after, _) in zip(_points(values), _points(rounded), strict=True):
        x += [before, after, None]
        y += [row, row, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "the way to it",
        "x": x,
        "y": y,
        "line": {"color": ORANGE, "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }

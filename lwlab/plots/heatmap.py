"""The heatmap of a sensitivity scan: which layer bears which sparsity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plotly.graph_objects import Figure

from lwlab.measure import Accuracy
from lwlab.plots.heatmap_parts import cell_axis, cividis, number_trace
from lwlab.plots.template import GREY, build, plain_text, shorten
from lwlab.units import format_interval, format_percent, format_points

__all__ = ["sensitivity_heatmap"]

_LONGEST_LAYER = 16
_ROW = 28  # pixels
_CHOSEN = "#d55e00"  # vermillion of Okabe and Ito; the frame itself is what carries the meaning
_WAITING = "\N{MIDDLE DOT}"
# Bent so that colours differ most where accuracies are good.
_COLORS = cividis(lambda place: place**0.5)

Points = Sequence[Sequence[Accuracy | None]]


def sensitivity_heatmap(
    layers: Sequence[str],
    sparsities: Sequence[float],
    accuracies: Points,
    *,
    baseline: Accuracy | None = None,
    chosen: Mapping[str, float] | None = None,
    title: str = "Right (%) with one layer pruned",
) -> Figure:
    """Return a heatmap: a row a layer, a column a sparsity, the accuracy as colour and as number.

    A cell where nothing was measured stays empty, with a dot. A click on a cell has its column as x
    and its row as y, both from 0.

    Args:
        layers: names, top to bottom.
        sparsities: fractions, left to right.
        accuracies: a row a layer, a point a sparsity; None where nothing was measured.
        baseline: accuracy before pruning; what is read under the mouse is compared with it.
        chosen: sparsity by layer name of the cells to frame; one that is no column is left out.
        title: above the plot.

    Raises:
        ValueError: there is no cell, or the rows are not one point a sparsity, one row a layer.
    """
    _check_shape(layers, sparsities, accuracies)
    shown = [shorten(name, _LONGEST_LAYER) for name in layers]
    columns = [f"{100 * value:g}" for value in sparsities]
    return build(
        [
            _cells(layers, sparsities, accuracies, baseline),
            _numbers(accuracies),
            _waiting(accuracies),
        ],
        title=title,
        summary=_summary(layers, sparsities, accuracies, baseline),
        plot_height=max(192, _ROW * len(layers)),
        left=max(58, 14 + 7 * max(len(name) for name in shown)),
        shapes=_frames(layers, sparsities, chosen or {}),
        xaxis=cell_axis("zeros in that layer (%)", columns, [-0.5, len(columns) - 0.5]),
        # The first layer on top.
        yaxis=cell_axis("", [plain_text(name) for name in shown], [len(layers) - 0.5, -0.5]),
    )


def _check_shape(layers: Sequence[str], sparsities: Sequence[float], accuracies: Points) -> None:
    widths = {len(row) for row in accuracies}
    if not layers or len(accuracies) != len(layers) or widths != {len(sparsities)} or 0 in widths:
        raise ValueError(
            f"accuracies must hold a row for each layer and in it a point for each sparsity, at "
            f"least one, got {len(accuracies)} rows for {len(layers)} layers, of "
            f"{', '.join(map(str, sorted(widths))) or 'no'} points for {len(sparsities)} "
            f"sparsities."
        )


def _cells(
    layers: Sequence[str],
    sparsities: Sequence[float],
    accuracies: Points,
    baseline: Accuracy | None,
) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": list(range(len(sparsities))),
        "y": list(range(len(layers))),
        "z": [[p and 100 * p.value for p in row] for row in accuracies],
        "text": [[_number(p) for p in row] for row in accuracies],
        "hovertext": [
            [
                f"{plain_text(name)} at {format_percent(sparsity)} zeros"
                f"<br>{plain_text(_sentence(point, baseline))}"
                for sparsity, point in zip(sparsities, row, strict=True)
            ]
            for name, row in zip(layers, accuracies, strict=True)
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "zmin": 0,
        "zmax": 100,
        "colorscale": _COLORS,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }


def _number(point: Accuracy | None) -> str:
    return "" if point is None else f"{100 * point.value:.0f}"


def _numbers(accuracies: Points) -> dict[str, Any]:
    cells = [(x, y, p) for y, row in enumerate(accuracies) for x, p in enumerate(row) if p]
    return number_trace([(x, y, p.value, _number(p)) for x, y, p in cells], _COLORS)


def _sentence(point: Accuracy | None, baseline: Accuracy | None) -> str:
    if point is None:
        return "not measured"
    told = f"{format_percent(point.value)} right ({format_interval(point.low, point.high)})"
    if baseline is None:
        return told
    return f"{told}, {format_points(point.value - baseline.value)} against before"


def _waiting(accuracies: Points) -> dict[str, Any]:
    """Return the dots of what was not measured, in the theme's colour of text."""
    cells = [(x, y) for y, row in enumerate(accuracies) for x, p in enumerate(row) if p is None]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in cells],
        "y": [y for _, y in cells],
        "marker": {"symbol": "circle", "size": 4, "color": GREY},
        "hoverinfo": "skip",
    }


def _frames(
    layers: Sequence[str], sparsities: Sequence[float], chosen: Mapping[str, float]
) -> list[dict[str, Any]]:
    places = [
        (list(sparsities).index(chosen[name]), y)
        for y, name in enumerate(layers)
        if chosen.get(name) in sparsities
    ]
    return [
        {
            "type": "rect",
            "x0": x - 0.47,
            "x1": x + 0.47,
            "y0": y - 0.47,
            "y1": y + 0.47,
            "line": {"color": _CHOSEN, "width": 3},
        }
        for x, y in places
    ]


def _summary(
    layers: Sequence[str],
    sparsities: Sequence[float],
    accuracies: Points,
    baseline: Accuracy | None,
) -> str:
    found = [
        (point.value, f"{name} at {format_percent(sparsity)} zeros, {format_percent(point.value)}")
        for name, row in zip(layers, accuracies, strict=True)
        for sparsity, point in zip(sparsities, row, strict=True)
        if point is not None
    ]
    total = len(layers) * len(sparsities)
    start = f"Accuracy with one layer pruned, {len(found)} of {total} measured"
    if not found:
        return f"{start}."
    before = "" if baseline is None else f"; before pruning {format_percent(baseline.value)}"
    return f"{start}; the lowest is {min(found)[1]}{before}."

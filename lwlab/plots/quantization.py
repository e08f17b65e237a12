"""Where the weights of a layer are, where its grid is, and what the rounding costs each layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from plotly.graph_objects import Figure
from torch import Tensor

from lwlab.checks import check_number
from lwlab.plots.histogram import WeightBins
from lwlab.plots.template import (
    BLUE,
    GREEN,
    ORANGE,
    axis,
    build,
    hatch,
    legend,
    plain_text,
    shorten,
)
from lwlab.units import format_count, format_percent

__all__ = ["grid_histogram", "layer_error_bars"]

_BAND = 0.2  # height of the grid below the bars, against the highest bar
_ROOM = 1.05  # beside the largest weight, so that its line can be grasped
_MOST_TICKS = 300  # a browser draws them all anew at each move
_LONGEST_LAYER = 16
_MOST_DECIBELS = 60.0


def grid_histogram(
    bars: WeightBins,
    grids: Sequence[Sequence[float]],
    *,
    clip: tuple[float, float] | None = None,
    clipped: Tensor | None = None,
    title: str = "Weights and their grid",
) -> Figure:
    """Return a histogram of float weights over the values that quantized ones can take.

    The grid stands as ticks below the bars: a row for each scale, evenly chosen ones where there
    are too many. The two clip lines are the first two shapes, low before high, and ``meta`` says
    ``draggable``: a live plot lets them be moved.

    Args:
        bars: of the float weights.
        grids: values of the grid of each scale, rising; none draws no grid.
        clip: where the range ends on either side; None draws no lines.
        clipped: bool, one for each weight in the order of ``bars``: those that the end of a grid
            cuts off. They stand out.
        title: above the plot.

    Raises:
        ValueError: the lines are in the wrong order.
    """
    limit, counts = float(bars.edges[-1]), bars.counts()
    top = max(counts)
    rows = _some(grids)
    figure = build(
        [*_weights(bars, counts, clipped), *_ticks(rows, top)],
        title=title,
        summary=_summary(counts, limit, grids, clip, clipped),
        barmode="stack",
        bargap=0,
        xaxis=axis("weight", range=[-_ROOM * limit, _ROOM * limit], zeroline=False),
        yaxis=axis(
            "number of weights",
            range=[-(_BAND + 0.04) * top if rows else 0, 1.08 * top],
            tickvals=(marks := _marks(top)),
            ticktext=[format_count(mark) for mark in marks],
            zeroline=False,
        ),
        shapes=_lines(clip),
        **legend(),
    )
    figure.layout.meta["draggable"] = True
    return figure


def _weights(bars: WeightBins, counts: list[int], clipped: Tensor | None) -> list[dict[str, Any]]:
    middles = ((bars.edges[1:] + bars.edges[:-1]) / 2).tolist()
    gone = [0] * len(counts) if clipped is None else bars.counts(clipped.flatten())
    inside = [total - out for total, out in zip(counts, gone, strict=True)]
    return [
        _bar_trace("weights", middles, inside, BLUE, ""),
        _bar_trace("clipped", middles, gone, ORANGE, "/"),
    ]


def _bar_trace(name: str, x: list[float], y: list[int], color: str, pattern: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": x,
        "y": y,
        "marker": {"color": color, "pattern": hatch(pattern), "line": {"width": 0}},
        "hovertemplate": f"%{{y:,}} near %{{x:.3~g}}: {name}<extra></extra>",
    }


def _some(grids: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Return as many rows as can be drawn, evenly chosen, the first one among them."""
    if not grids:
        return []
    count = max(1, min(len(grids), _MOST_TICKS // max(len(row) for row in grids)))
    return [grids[i * len(grids) // count] for i in range(count)]


def _ticks(rows: list[Sequence[float]], top: int) -> list[dict[str, Any]]:
    """Return all ticks as one line with gaps: one element of the page, however many there are."""
    if not rows:
        return []
    x, y = [], []
    height = _BAND * top / len(rows)
    for number, row in enumerate(rows):
        start = -0.03 * top - number * height
        for value in row:
            x += [value, value, None]
            y += [start, start - 0.85 * height, None]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "grid",
            "x": x,
            "y": y,
            "line": {"color": GREEN, "width": 1.5},
            "hovertemplate": "%{x:.4~g}: a value of the grid<extra></extra>",
        }
    ]


def _marks(top: int) -> list[int]:
    """Return round counts from 0 to ``top``, about four: the band below has no counts."""
    step = 10 ** math.floor(math.log10(max(top, 1)))
    step = next(s for s in (step // 5, step // 2, step, 2 * step) if s and top / s <= 5)
    return list(range(0, top + 1, step))


def _lines(clip: tuple[float, float] | None) -> list[dict[str, Any]]:
    if clip is None:
        return []
    if clip[0] > clip[1]:
        raise ValueError(f"clip must be (low, high), got {clip[0]:g} above {clip[1]:g}.")
    line = {"color": ORANGE, "width": 3, "dash": "dash"}
    return [
        {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}
        for x in clip
    ]


def _summary(
    counts: list[int],
    limit: float,
    grids: Sequence[Sequence[float]],
    clip: tuple[float, float] | None,
    clipped: Tensor | None,
) -> str:
    text = f"Histogram of {format_count(sum(counts))} weights, all within plus or minus {limit:.3g}"
    if grids:
        scales = "one scale" if len(grids) == 1 else f"{format_count(len(grids))} scales"
        text += f"; {scales} of {max(len(row) for row in grids)} values"
    if clip is not None:
        text += f"; the range goes from {clip[0]:.3g} to {clip[1]:.3g}"
    if clipped is not None:
        text += f"; {format_percent(float(clipped.float().mean()))} are clipped"
    return f"{text}."


def layer_error_bars(
    names: Sequence[str],
    decibels: Sequence[float],
    labels: Sequence[str],
    *,
    title: str = "Signal to noise of each layer",
) -> Figure:
    """Return one horizontal bar a layer: 10 log10 of weights squared over errors squared.

    Args:
        names: of the layers, top to bottom.
        decibels: of each layer; infinite where there is no error, which is a full bar.
        labels: what stands beside each bar.
        title: above the plot.

    Raises:
        ValueError: the lengths differ, or there is no layer.
    """
    if not names or not len(names) == len(decibels) == len(labels):
        raise ValueError(
            f"names, decibels and labels must be of one length above 0, got {len(names)}, "
            f"{len(decibels)} and {len(labels)}."
        )
    shown = [min(max(_check_decibels(d), 0.0), _MOST_DECIBELS) for d in decibels]
    lowest = min(range(len(names)), key=lambda i: decibels[i])
    short = [shorten(name, _LONGEST_LAYER) for name in names]
    return build(
        [_error_trace(names, shown, labels)],
        title=title,
        summary=f"{len(names)} layers; the noisiest is {names[lowest]}, {labels[lowest]}.",
        plot_height=max(192, 26 * len(names)),
        left=max(58, 14 + 7 * max(len(name) for name in short)),
        xaxis=axis("signal to noise (dB)", range=[0, 1.04 * _MOST_DECIBELS]),
        yaxis=axis(
            "",
            type="category",
            range=[len(names) - 0.5, -0.5],
            tickvals=[plain_text(name) for name in names],
            ticktext=[plain_text(name) for name in short],
            showgrid=False,
        ),
    )


def _error_trace(
    names: Sequence[str], lengths: Sequence[float], labels: Sequence[str]
) -> dict[str, Any]:
    inside = [length > 0.5 * _MOST_DECIBELS for length in lengths]
    return {
        "type": "bar",
        "orientation": "h",
        "y": [plain_text(name) for name in names],
        "x": list(lengths),
        "text": [plain_text(label) for label in labels],
        "textposition": ["inside" if place else "outside" for place in inside],
        "insidetextanchor": "end",
        "textangle": 0,
        "textfont": {"size": 12},
        "constraintext": "none",
        "cliponaxis": False,
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }


def _check_decibels(value: float) -> float:
    """Return ``value`` if it is a number; plus infinity is one, for no error at all."""
    return value if value == math.inf else check_number("decibels", value)

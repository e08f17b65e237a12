"""Horizontal bars: each layer, each part of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plotly.graph_objects import Figure

from lwlab.plots.template import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    OUTLINE,
    axis,
    build,
    hatch,
    legend,
    plain_text,
    shorten,
)
from lwlab.units import format_bytes, format_count, format_percent

__all__ = ["layer_bars", "size_bars"]

_LONGEST_FILE = 12
_LONGEST_LAYER = 16
_PART_STYLES = ((BLUE, ""), (ORANGE, "/"), (GREEN, "x"), (GREY, "."), ("#cc79a7", "-"))


def layer_bars(
    names: Sequence[str],
    fractions: Sequence[float],
    counts: Sequence[int],
    *,
    title: str = "Zeros in each layer",
    of: str = "",
) -> Figure:
    """Return one horizontal bar a layer, labelled ``12.0 % of 288``.

    Args:
        names: of the layers, top to bottom.
        fractions: what each bar shows, in [0, 1].
        counts: what each fraction is of; shown in the label.
        title: above the plot.
        of: what the counts are in all, where it is not the layer's own; replaces "of 288".

    Raises:
        ValueError: the lengths differ, or there is no layer.
    """
    if not names or not len(names) == len(fractions) == len(counts):
        raise ValueError(
            f"names, fractions and counts must be of one length above 0, got {len(names)}, "
            f"{len(fractions)} and {len(counts)}."
        )
    labels = [
        f"{format_percent(fraction)} {of or 'of ' + format_count(count)}"
        for fraction, count in zip(fractions, counts, strict=True)
    ]
    trace = _layer_trace(names, fractions, labels)
    highest = max(range(len(names)), key=lambda i: fractions[i])
    shown = [shorten(name, _LONGEST_LAYER) for name in names]
    return build(
        [trace],
        title=title,
        summary=f"{len(names)} layers; the longest bar is {names[highest]}, {labels[highest]}.",
        plot_height=max(192, 26 * len(names)),
        left=max(58, 14 + 7 * max(len(name) for name in shown)),
        xaxis=axis("share (%)", range=[0, 104]),
        yaxis=_row_axis(trace["y"], [plain_text(name) for name in shown]),
    )


def _layer_trace(
    names: Sequence[str], fractions: Sequence[float], labels: Sequence[str]
) -> dict[str, Any]:
    # Outside a short bar, inside a long one: either way there is half the plot for it.
    places = ["inside" if fraction > 0.5 else "outside" for fraction in fractions]
    return {
        "type": "bar",
        "orientation": "h",
        "y": [plain_text(name) for name in names],
        "x": [100 * fraction for fraction in fractions],
        "text": [plain_text(label) for label in labels],
        "textposition": places,
        "insidetextanchor": "end",
        "textangle": 0,
        "textfont": {"size": 12},
        "constraintext": "none",
        "cliponaxis": False,
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }


def _row_axis(rows: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    """Return the axis of horizontal bars, the first row on top."""
    return axis(
        "",
        type="category",
        range=[len(rows) - 0.5, -0.5],
        tickvals=list(rows),
        ticktext=list(shown),
        showgrid=False,
    )


def size_bars(
    parts: Mapping[str, int],
    *,
    baseline_bytes: int,
    baseline_name: str = "before",
    title: str = "The file, byte by byte",
) -> Figure:
    """Return the bytes of a file by part, above the outline of the file before.

    Args:
        parts: bytes of each part of the file, in the order they are stacked.
        baseline_bytes: length of the file to compare with.
        baseline_name: what that file is called.
        title: above the plot.

    Raises:
        ValueError: there is no part, or a part is negative.
    """
    if not parts or min(parts.values()) < 0:
        raise ValueError(f"parts must be bytes of at least 0 by name, got {dict(parts)!r}.")
    total = sum(parts.values())
    rows = ["now", plain_text(shorten(baseline_name, _LONGEST_FILE))]
    traces = [_part_trace(*part, 0, _part_marker(i)) for i, part in enumerate(parts.items())]
    before = _part_trace(baseline_name, baseline_bytes, 1, OUTLINE)
    sizes = [format_bytes(total), format_bytes(baseline_bytes)]
    listed = ", ".join(f"{name} {format_bytes(size)}" for name, size in parts.items())
    return build(
        [*traces, {**before, "showlegend": False}],
        title=title,
        summary=f"The file has {sizes[0]}: {listed}; {baseline_name}, {sizes[1]}.",
        legend_rows=1 if len(parts) < 4 else 2,
        left=max(72, 14 + 7 * len(shorten(baseline_name, _LONGEST_FILE))),
        barmode="stack",
        xaxis=axis("bytes", range=[0, 1.08 * max(total, baseline_bytes, 1)], tickformat="~s"),
        yaxis=_row_axis(
            [0, 1], [f"{row}<br>{size}" for row, size in zip(rows, sizes, strict=True)]
        ),
        **legend(),
    )


def _part_marker(index: int) -> dict[str, Any]:
    color, pattern = _PART_STYLES[index % len(_PART_STYLES)]
    return {"color": color, "pattern": hatch(pattern), "line": {"width": 0}}


def _part_trace(name: str, size: int, row: int, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": plain_text(name),
        "y": [row],
        "x": [size],
        "text": [f"{plain_text(name)}: {format_bytes(size)}"],
        "textposition": "none",
        "marker": marker,
        "hovertemplate": "%{text}<extra></extra>",
    }

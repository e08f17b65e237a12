"""Bars: each class, each layer, each part of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.template import BLUE, GREEN, GREY, ORANGE, axis, build, legend, plain_text
from lwlab.units import format_bytes, format_count, format_interval, format_percent

__all__ = ["layer_bars", "per_class_bars", "size_bars"]

_PART_STYLES = ((BLUE, ""), (ORANGE, "/"), (GREEN, "x"), (GREY, "."))


class AccuracyLike(Protocol):
    """The fields of ``lwlab.measure.Accuracy`` that are drawn."""

    value: float
    low: float
    high: float
    total: int


def per_class_bars(
    accuracies: Sequence[AccuracyLike | None],
    *,
    class_names: Sequence[str],
    baseline: Sequence[AccuracyLike | None] = (),
    title: str = "Accuracy of each class",
) -> Figure:
    """Return a bar with its 95 % interval for each class, over the baseline's outlines.

    Args:
        accuracies: one a class; None for a class without examples.
        class_names: one a class.
        baseline: the same classes before anything was done; drawn as outlines.
        title: above the plot.

    Raises:
        ValueError: the lengths differ, or there is no class with examples.
    """
    for name, values in (("accuracies", accuracies), ("baseline", baseline)):
        if len(values) != len(class_names) and (values or name == "accuracies"):
            raise ValueError(
                f"{name} must hold one value for each of {len(class_names)} classes, "
                f"got {len(values)}."
            )
    scored = [(plain_text(n), a) for n, a in zip(class_names, accuracies, strict=True) if a]
    if not scored:
        raise ValueError("accuracies must hold at least one class with examples, got none.")
    traces = [_class_trace("now", scored, {"color": BLUE}, bars=True)]
    before = [(plain_text(n), a) for n, a in zip(class_names, baseline, strict=False) if a]
    if before:
        outline = {"color": "rgba(0,0,0,0)", "line": {"color": GREY, "width": 2}}
        traces.append(_class_trace("before", before, outline, bars=False))
    worst = min(scored, key=lambda pair: pair[1].value)
    return build(
        traces,
        title=title,
        summary=f"Accuracy of {len(scored)} classes; the lowest is {worst[0]} with "
        f"{format_percent(worst[1].value)}.",
        barmode="overlay",
        xaxis=axis("class", type="category"),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        **legend(),
    )


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
    # Outside a short bar, inside a long one: never cut, never across the end of the bar.
    places = ["inside" if fraction > 0.6 else "outside" for fraction in fractions]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [plain_text(name) for name in names],
        "x": [100 * fraction for fraction in fractions],
        "text": labels,
        "textposition": places,
        "textangle": 0,
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    highest = max(range(len(names)), key=lambda i: fractions[i])
    return build(
        [trace],
        title=title,
        summary=f"{len(names)} layers; the longest bar is {plain_text(names[highest])}, "
        f"{labels[highest]}.",
        height=max(270, 78 + 26 * len(names)),
        margin={"l": 96, "r": 14, "t": 34, "b": 44},
        xaxis=axis("share (%)", range=[0, 104]),
        yaxis={**axis("", autorange="reversed", type="category"), "showgrid": False},
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
    rows = ["now", plain_text(baseline_name)]
    traces = []
    for (name, size), (color, pattern) in zip(
        parts.items(), _PART_STYLES * (1 + len(parts) // 4), strict=False
    ):
        marker = {"color": color, "pattern": {"shape": pattern}}
        text = f"{plain_text(name)}: {format_bytes(size)}"
        traces.append(_part_trace(plain_text(name), rows[0], size, marker, text))
    outline = {"color": "rgba(0,0,0,0)", "line": {"color": GREY, "width": 2}}
    text = f"{rows[1]}: {format_bytes(baseline_bytes)}"
    traces.append({**_part_trace("", rows[1], baseline_bytes, outline, text), "showlegend": False})
    return build(
        traces,
        title=title,
        summary=f"The file has {format_bytes(total)}: "
        + ", ".join(f"{plain_text(name)} {format_bytes(size)}" for name, size in parts.items())
        + f"; {plain_text(baseline_name)}, {format_bytes(baseline_bytes)}.",
        barmode="stack",
        margin={"l": 72, "r": 14, "t": 34, "b": 44},
        xaxis=axis("bytes", range=[0, 1.08 * max(total, baseline_bytes, 1)], tickformat="~s"),
        yaxis={**axis("", autorange="reversed", type="category"), "showgrid": False},
        **legend(),
    )


def _class_trace(
    name: str, scored: list[tuple[str, AccuracyLike]], marker: dict, *, bars: bool
) -> dict[str, Any]:
    values = [accuracy for _, accuracy in scored]
    trace = {
        "type": "bar",
        "name": name,
        "x": [label for label, _ in scored],
        "y": [100 * a.value for a in values],
        "text": [
            f"{format_percent(a.value)} of {format_count(a.total)} "
            f"({format_interval(a.low, a.high)})"
            for a in values
        ],
        "textposition": "none",
        "hovertemplate": f"%{{x}}, {name}: %{{text}}<extra></extra>",
        "marker": marker,
    }
    if bars:
        trace["error_y"] = {
            "array": [100 * (a.high - a.value) for a in values],
            "arrayminus": [100 * (a.value - a.low) for a in values],
            "symmetric": False,
            "color": GREY,
        }
    return trace


def _part_trace(name: str, row: str, size: int, marker: dict, text: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": [row],
        "x": [size],
        "marker": marker,
        "hovertemplate": f"{text}<extra></extra>",
    }

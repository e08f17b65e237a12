"""Bars of each class: a mean accuracy hides the class that was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.template import (
    BLUE,
    ORANGE,
    OUTLINE,
    axis,
    build,
    legend,
    plain_text,
    shorten,
)
from lwlab.units import format_count, format_interval, format_percent

__all__ = ["class_axis", "per_class_bars"]

_LONGEST_CLASS = 14  # letters of a class name on the axis; the hover text has all of it
_LEVEL_LETTERS = 36  # letters that stand side by side on the narrowest plot
_MOST_CLASS_LABELS = 30


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
    _check_lengths(accuracies, class_names, baseline)
    scored = [(n, a) for n, a in zip(class_names, accuracies, strict=True) if a is not None]
    if not scored:
        raise ValueError("accuracies must hold at least one class with examples, got none.")
    traces = [_class_trace("now", scored, {"color": BLUE}, bars=True)]
    before = [(n, a) for n, a in zip(class_names, baseline, strict=False) if a is not None]
    if before:
        traces.append(_class_trace("before", before, OUTLINE, bars=False))
    worst = min(scored, key=lambda pair: pair[1].value)
    classes, bottom = class_axis(class_names)
    return build(
        traces,
        title=title,
        summary=f"Accuracy of {len(scored)} classes; the lowest is {worst[0]} with "
        f"{format_percent(worst[1].value)}.",
        bottom=bottom,
        barmode="overlay",
        xaxis=classes,
        yaxis=axis("accuracy (%)", range=[0, 104]),
        **legend(),
    )


def _check_lengths(accuracies: Sequence, class_names: Sequence, baseline: Sequence) -> None:
    for name, values in (("accuracies", accuracies), ("baseline", baseline)):
        if len(values) != len(class_names) and (values or name == "accuracies"):
            raise ValueError(
                f"{name} must hold one value for each of {len(class_names)} classes, "
                f"got {len(values)}."
            )


def class_axis(class_names: Sequence[str]) -> tuple[dict[str, Any], int]:
    """Return the axis of the classes, in their order, and the pixels it needs below the plot.

    Args:
        class_names: one a class; long ones are shortened, and too many are left out.
    """
    shown = [shorten(str(name), _LONGEST_CLASS) for name in class_names]
    longest = max(len(name) for name in shown)
    settings = {
        "type": "category",
        "range": [-0.5, len(shown) - 0.5],
        "categoryorder": "array",
        "categoryarray": [plain_text(name) for name in class_names],
        "tickvals": [plain_text(name) for name in class_names],
        "ticktext": [plain_text(name) for name in shown],
        "showgrid": False,
    }
    if len(shown) > _MOST_CLASS_LABELS:  # more would lie across each other
        settings["tickvals"] = settings["ticktext"] = []
        return axis(f"{len(shown)} classes, in their order", **settings), 44
    if longest <= _LEVEL_LETTERS // len(shown):
        return axis("class", **settings, tickangle=0), 44
    return axis("", **settings, tickangle=-40), 26 + 5 * longest


def _class_trace(
    name: str, scored: list[tuple[str, AccuracyLike]], marker: dict, *, bars: bool
) -> dict[str, Any]:
    values = [accuracy for _, accuracy in scored]
    trace = {
        "type": "bar",
        "name": name,
        "x": [plain_text(label) for label, _ in scored],
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
            "color": ORANGE,  # stands out from the blue bar and from a light or dark page
            "thickness": 2,
        }
    return trace

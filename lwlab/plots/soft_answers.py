"""What a teacher thinks of the other classes: one softened answer, and the mean of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plotly.graph_objects import Figure

from lwlab.plots.classes import class_axis
from lwlab.plots.heatmap_parts import cell_axis, cividis, number_trace
from lwlab.plots.template import BLUE, OUTLINE, axis, build, legend, plain_text, shorten
from lwlab.units import format_percent

__all__ = ["class_similarity_map", "soft_answer_bars"]

_MOST_NUMBERS = 12  # classes; more numbers would lie across each other
_LONGEST_CLASS = 14
_ROW = 22  # pixels
# Bent so that colours differ most among the small probabilities: the colour at p is
# cividis(sqrt(p)).
_COLORS = cividis(lambda place: place**2)


def soft_answer_bars(
    probabilities: Sequence[float],
    *,
    class_names: Sequence[str],
    temperature: float,
    label: int | None = None,
    title: str = "The teacher's answer",
    plot_height: int = 192,
) -> Figure:
    """Return a bar for each class: a softened answer, behind the outline of the hard label.

    Args:
        probabilities: one a class, in [0, 1], softened by ``temperature``.
        class_names: one a class.
        temperature: for the legend.
        label: class of the example; None for an example without one.
        title: above the plot.
        plot_height: pixels between the axes.

    Raises:
        ValueError: there is no class, the lengths differ, or ``label`` is no class.
    """
    _check_answer(probabilities, class_names, label)
    names = [plain_text(name) for name in class_names]
    classes, bottom = class_axis(class_names)
    bars = {"type": "bar", "hovertemplate": "%{text}<extra></extra>", "textposition": "none"}
    soft = {
        "name": f"T = {temperature:.3g}",
        "x": names,
        "y": [100 * p for p in probabilities],
        "text": [f"{n}: {_exactly(p)}" for n, p in zip(names, probabilities, strict=True)],
        "marker": {"color": BLUE},
    }
    hard = {"name": "label", "marker": OUTLINE}
    if label is not None:
        hard |= {"x": [names[label]], "y": [100], "text": [f"label: {names[label]}"]}
    traces = [{**bars, **trace} for trace in (soft, hard) if "x" in trace]
    if len(names) <= _MOST_NUMBERS:
        traces.append(_heights(names, probabilities))
    return build(
        traces,
        title=title,
        summary=_answer_summary(probabilities, class_names, temperature, label),
        plot_height=plot_height,
        bottom=bottom,
        barmode="overlay",
        xaxis=classes,
        yaxis=axis("probability (%)", range=[0, 112], tickvals=[0, 20, 40, 60, 80, 100]),
        **legend(),
    )


def _check_answer(
    probabilities: Sequence[float], class_names: Sequence[str], label: int | None
) -> None:
    count = len(class_names)
    if not count or len(probabilities) != count:
        raise ValueError(
            f"probabilities must hold one value for each class, at least one, got "
            f"{len(probabilities)} for {count} classes."
        )
    if label is not None and not 0 <= label < count:
        raise ValueError(f"label must be a class from 0 to {count - 1}, got {label!r}.")


def _heights(names: list[str], probabilities: Sequence[float]) -> dict[str, Any]:
    """Return the numbers above the bars."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": names,
        "y": [100 * p + 5 for p in probabilities],
        "text": [_short(p) for p in probabilities],
        "textfont": {"size": 11},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _short(probability: float) -> str:
    """Return percent in at most three letters; empty where it would be 0."""
    percent = 100 * probability
    if percent >= 9.95:
        return f"{percent:.0f}"
    return f"{percent:.1f}" if percent >= 0.05 else ""


def _exactly(probability: float) -> str:
    """Return percent with three digits, however small it is."""
    return f"{100 * probability:.3g} %"


def _answer_summary(
    probabilities: Sequence[float],
    class_names: Sequence[str],
    temperature: float,
    label: int | None,
) -> str:
    order = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])[:3]
    parts = ", ".join(f"{class_names[i]} {format_percent(probabilities[i])}" for i in order)
    of = "" if label is None else f" to an example of {class_names[label]}"
    return f"Answer{of} at temperature {temperature:.3g}: {parts}."


def class_similarity_map(
    means: Sequence[Sequence[float] | None],
    *,
    class_names: Sequence[str],
    temperature: float,
    title: str = "Mean answer to each class (%)",
) -> Figure:
    """Return a heatmap: a row a true class, a column a class in the answer, the mean probability.

    Colours differ most among the small probabilities: what resembles what stands beside the
    diagonal.

    Args:
        means: a row a class, its mean softened answer; None for a class without examples.
        class_names: one a class.
        temperature: for the title.
        title: above the plot.

    Raises:
        ValueError: there is no class, or the rows are not one probability a class, one row a class.
    """
    count = len(class_names)
    _check_means(means, count)
    shown = [shorten(str(name), _LONGEST_CLASS) for name in class_names]
    columns, bottom = class_axis(class_names)
    angle = columns.get("tickangle", 0)
    rows = [plain_text(name) if columns["ticktext"] else "" for name in shown]
    return build(
        [_cells(means, class_names), _numbers(means)],
        title=f"{title}, T = {temperature:.3g}",
        summary=_map_summary(means, class_names, temperature),
        plot_height=max(192, min(_ROW * count, 440)),
        left=max(58, 30 + 7 * max(len(name) for name in rows)),
        bottom=bottom,
        xaxis=cell_axis("class in the answer", rows, [-0.5, count - 0.5], tickangle=angle)
        if angle == 0
        else cell_axis("", rows, [-0.5, count - 0.5], tickangle=angle),
        yaxis=cell_axis("true class", rows, [count - 0.5, -0.5]),
    )


def _check_means(means: Sequence[Sequence[float] | None], count: int) -> None:
    widths = sorted({len(row) for row in means if row is not None})
    if len(means) != count or widths not in ([], [count]) or not count:
        raise ValueError(
            f"means must hold a row for each of {count} classes, or None, and in it as many "
            f"probabilities, got rows of {', '.join(map(str, widths)) or 'nothing'}."
        )


def _cells(means: Sequence[Sequence[float] | None], class_names: Sequence[str]) -> dict[str, Any]:
    count = len(class_names)
    names = [plain_text(name) for name in class_names]
    rows = [[None] * count if row is None else row for row in means]
    return {
        "type": "heatmap",
        "x": list(range(count)),
        "y": list(range(count)),
        "z": [[p and 100 * p for p in row] for row in rows],
        "text": [[""] * count for _ in rows],
        "hovertext": [
            [
                f"{true}: no examples" if p is None else f"{true}, answered {name}: {_exactly(p)}"
                for name, p in zip(names, row, strict=True)
            ]
            for true, row in zip(names, rows, strict=True)
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "zmin": 0,
        "zmax": 100,
        "colorscale": _COLORS,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }


def _numbers(means: Sequence[Sequence[float] | None]) -> dict[str, Any]:
    cells = [
        (x, y, p, f"{100 * p:.0f}")
        for y, row in enumerate(means)
        for x, p in enumerate(row or ())
        if p >= 0.005 and len(means) <= _MOST_NUMBERS
    ]
    return number_trace(cells, _COLORS)


def _map_summary(
    means: Sequence[Sequence[float] | None], class_names: Sequence[str], temperature: float
) -> str:
    start = f"Mean answer to each true class at temperature {temperature:.3g}"
    aside = [
        (p, class_names[y], class_names[x])
        for y, row in enumerate(means)
        for x, p in enumerate(row or ())
        if x != y
    ]
    if not aside:
        return f"{start}."
    share, true, other = max(aside)
    return (
        f"{start}; beside the diagonal the largest is {format_percent(share)} for {other} where "
        f"the class is {true}."
    )

"""Criteria side by side: at one cut, a mark for each network; and over rising cuts, a line."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.lines import LOOKS, legend_rows, line_with_bars
from lwlab.plots.template import BLUE, GREY, ORANGE, axis, build, legend, plain_text
from lwlab.units import format_percent

__all__ = ["criteria_curves", "criteria_strip"]


class RowLike(Protocol):
    """The fields of ``lwlab.prune.ComparisonRow`` that are drawn."""

    criterion: str
    seed: int
    as_cut: float
    recovered: float


class CutRowLike(RowLike, Protocol):
    """A ``RowLike`` that says how much was cut."""

    sparsity: float


def criteria_strip(
    rows: Sequence[RowLike],
    *,
    criteria: Sequence[str],
    baseline: float | None = None,
    title: str = "The same cut by each criterion",
) -> Figure:
    """Return a column for each criterion: every network as cut and fine-tuned, and the mean.

    Args:
        rows: of one sparsity; may lack some, while they are being measured.
        criteria: names of the columns, left to right.
        baseline: fraction right of the whole networks, a dashed line.
        title: above the plot.

    Raises:
        ValueError: a row is of a criterion that has no column.
    """
    for row in rows:
        if row.criterion not in criteria:
            raise ValueError(f"criteria must hold the one of each row, got none {row.criterion!r}.")
    tuned = any(row.recovered != row.as_cut for row in rows)
    final = "fine-tuned" if tuned else "as cut"
    traces = [
        *([_marks("as cut", rows, [r.as_cut for r in rows], GREY)] if tuned else []),
        _marks(final, rows, [r.recovered for r in rows], BLUE),
        _means(criteria, rows, final),
    ]
    return build(
        [trace for trace in traces if trace["x"]],
        title=title,
        summary=_summary(criteria, rows, final),
        xaxis=axis(
            "",
            type="category",
            categoryorder="array",
            categoryarray=[plain_text(name) for name in criteria],
            range=[-0.5, len(criteria) - 0.5],
        ),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        shapes=_line(baseline),
        **legend(),
    )


def _marks(
    name: str, rows: Sequence[RowLike], values: Sequence[float], color: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{name}, each network",
        "x": [plain_text(row.criterion) for row in rows],
        "y": [100 * value for value in values],
        "text": [f"network {row.seed}, {name}" for row in rows],
        "hovertemplate": "%{text}: %{y:.1f} %<extra></extra>",
        "marker": {
            "color": color,
            "size": 9,
            "symbol": "circle-open",
            "line": {"width": 2, "color": color},
        },
    }


def _means(criteria: Sequence[str], rows: Sequence[RowLike], final: str) -> dict[str, Any]:
    means = _mean_by_criterion(criteria, rows)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "mean",
        "x": [plain_text(name) for name in means],
        "y": [100 * mean for mean in means.values()],
        "text": [f"mean, {final}"] * len(means),
        "hovertemplate": "%{text}: %{y:.1f} %<extra></extra>",
        "marker": {"color": ORANGE, "size": 12, "symbol": "diamond"},
    }


def _mean_by_criterion(criteria: Sequence[str], rows: Sequence[RowLike]) -> dict[str, float]:
    values = {name: [r.recovered for r in rows if r.criterion == name] for name in criteria}
    return {name: statistics.mean(found) for name, found in values.items() if found}


def _line(baseline: float | None) -> list[dict[str, Any]]:
    if baseline is None:
        return []
    y, line = 100 * baseline, {"color": BLUE, "width": 1, "dash": "dash"}
    return [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}]


def _summary(criteria: Sequence[str], rows: Sequence[RowLike], final: str) -> str:
    means = _mean_by_criterion(criteria, rows)
    if not means:
        return "Accuracy by criterion: nothing measured yet."
    texts = [f"{name} {format_percent(mean)}" for name, mean in means.items()]
    return f"Mean accuracy {final} by criterion: {', '.join(texts)}."


def criteria_curves(
    rows: Iterable[CutRowLike], *, baseline: float | None = None, title: str = "Accuracy"
) -> tuple[Figure, Figure]:
    """Return two plots against the share cut: accuracy as cut, and fine-tuned.

    A line for each criterion through the means over the networks; bars of one standard deviation
    over them (of a sample, n - 1), none for a single network. The x axis is the share cut of *each
    layer that is cut*, which is not quite the zeros of the whole network.

    Args:
        rows: of one data set and one kind of cut, such as a value of ``prune.read_rows``; the
            criterion that comes first is drawn as the one to beat. May be empty.
        baseline: fraction right of the whole networks, a dashed line.
        title: above the plots, before "as cut" and "fine-tuned".

    Raises:
        ValueError: there are more than four criteria.
    """
    rows = list(rows)
    names = list(dict.fromkeys(row.criterion for row in rows))
    if len(names) > len(LOOKS):
        raise ValueError(f"rows must be of at most {len(LOOKS)} criteria, got {len(names)}.")
    return (
        _curves("as cut", [(r.criterion, r.sparsity, r.as_cut) for r in rows], baseline, title),
        _curves(
            "fine-tuned", [(r.criterion, r.sparsity, r.recovered) for r in rows], baseline, title
        ),
    )


def _curves(
    stage: str, found: Sequence[tuple[str, float, float]], baseline: float | None, title: str
) -> Figure:
    points: dict[str, dict[float, list[float]]] = {}
    for name, sparsity, value in found:
        points.setdefault(name, {}).setdefault(sparsity, []).append(value)
    looks = zip(points.items(), LOOKS, strict=False)
    return build(
        [_curve(name, dict(sorted(values.items())), look) for (name, values), look in looks],
        title=f"{title}, {stage}",
        summary=_curves_summary(stage, points),
        legend_rows=legend_rows(len(points)),
        xaxis=axis("cut of each layer (%)", range=[-2, 102]),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        shapes=_line(baseline),
        **legend(),
    )


def _curve(
    name: str, values: dict[float, list[float]], look: tuple[str, str, str]
) -> dict[str, Any]:
    means = [statistics.mean(found) for found in values.values()]
    spreads = [statistics.stdev(found) if len(found) > 1 else 0.0 for found in values.values()]
    pairs = list(zip(means, spreads, strict=True))
    return line_with_bars(
        name,
        look,
        [100 * sparsity for sparsity in values],
        [100 * mean for mean in means],
        # No bar leaves [0, 100] %: there is no such accuracy.
        above=[100 * min(spread, 1 - mean) for mean, spread in pairs],
        below=[100 * min(spread, mean) for mean, spread in pairs],
        texts=[
            f"{plain_text(name)}, {format_percent(sparsity)} cut<br>{format_percent(mean)} right, "
            f"standard deviation {100 * spread:.1f} over {len(values[sparsity])}"
            for sparsity, (mean, spread) in zip(values, pairs, strict=True)
        ],
    )


def _curves_summary(stage: str, points: dict[str, dict[float, list[float]]]) -> str:
    if not points:
        return f"Accuracy {stage} against the share cut: nothing measured yet."
    ends = []
    for name, values in points.items():
        least, most = min(values), max(values)
        first, last = (format_percent(statistics.mean(values[at])) for at in (least, most))
        ends.append(
            f"{name} {first} at {format_percent(least, 0)} and {last} at {format_percent(most, 0)}"
        )
    return f"Mean accuracy {stage} against the share cut: {', '.join(ends)}."

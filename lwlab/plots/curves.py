"""How a training goes: loss and accuracy, step by step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.plots.template import BLUE, GREY, ORANGE, axis, build, legend, plain_text
from lwlab.units import format_percent

__all__ = ["training_curves"]

_MOST_POINTS = 400  # more are not to be seen on a screen, and travel with every redraw


class RecordLike(Protocol):
    """The fields of ``lwlab.train.Record`` that are drawn."""

    step: int
    total_steps: int
    loss: float
    training_accuracy: float
    validation_accuracy: float | None


def training_curves(
    records: Sequence[RecordLike],
    *,
    total_steps: int | None = None,
    ghost: Sequence[RecordLike] | Mapping[str, Sequence[RecordLike]] = (),
) -> tuple[Figure, Figure]:
    """Return two plots against the step: the loss, and the accuracy on train and validation.

    Args:
        records: what ``fit`` yielded so far; may be empty.
        total_steps: where the x axis ends; by default, where the longest training will.
        ghost: an earlier training, drawn pale behind this one and called "before"; or several by
            the name that the legend gives them.
    """
    ghosts = dict(ghost) if isinstance(ghost, Mapping) else {"before": ghost}
    everything = [*records, *(record for earlier in ghosts.values() for record in earlier)]
    end = total_steps or max((r.total_steps for r in everything), default=1)
    highest = max((r.loss for r in everything if math.isfinite(r.loss)), default=1.0)
    return _loss_plot(records, ghosts, end, highest), _accuracy_plot(records, ghosts, end)


def _loss_plot(
    records: Sequence[RecordLike],
    ghosts: Mapping[str, Sequence[RecordLike]],
    end: int,
    highest: float,
) -> Figure:
    traces = [
        *_ghost_lines(ghosts, lambda r: r.loss),
        _line("loss", records, lambda r: r.loss, BLUE),
    ]
    now = f"the newest {records[-1].loss:.3g}" if records else "none yet"
    return build(
        [trace for trace in traces if trace["x"]],
        title="Loss",
        summary=f"Training loss against step: {now}.",
        xaxis=axis("step", range=[0, end]),
        yaxis=axis("loss", range=[0, 1.05 * max(highest, 1e-9)]),
        **legend(),
    )


def _accuracy_plot(
    records: Sequence[RecordLike], ghosts: Mapping[str, Sequence[RecordLike]], end: int
) -> Figure:
    scored, before = _scored(records), {name: _scored(ghost) for name, ghost in ghosts.items()}
    traces = [
        *_ghost_lines(before, lambda r: 100 * r.validation_accuracy),
        _line("train", records, lambda r: 100 * r.training_accuracy, ORANGE, dash="dash"),
        _line("validation", scored, lambda r: 100 * r.validation_accuracy, BLUE, markers=True),
    ]
    now = format_percent(scored[-1].validation_accuracy) if scored else "not scored yet"
    return build(
        [trace for trace in traces if trace["x"]],
        title="Accuracy",
        summary=f"Accuracy against step; validation: {now}.{_last_scores(before)}",
        xaxis=axis("step", range=[0, end]),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        **legend(),
    )


def _scored(records: Sequence[RecordLike]) -> list[RecordLike]:
    return [r for r in records if r.validation_accuracy is not None]


def _last_scores(ghosts: Mapping[str, Sequence[RecordLike]]) -> str:
    """Return a sentence for each ghost that has a name of its own and was scored."""
    return "".join(
        f" {name}: {format_percent(scored[-1].validation_accuracy)}."
        for name, scored in ghosts.items()
        if scored and name != "before"
    )


def _ghost_lines(
    ghosts: Mapping[str, Sequence[RecordLike]], value: Callable[[RecordLike], float]
) -> list[dict[str, Any]]:
    dashes = itertools.cycle(["dot", "longdashdot"])
    return [
        _line(name, records, value, GREY, dash=dash)
        for (name, records), dash in zip(ghosts.items(), dashes, strict=False)
    ]


def _line(
    name: str,
    records: Sequence[RecordLike],
    value: Callable[[RecordLike], float],
    color: str,
    *,
    dash: str = "solid",
    markers: bool = False,
) -> dict[str, Any]:
    stride = max(1, -(-len(records) // _MOST_POINTS))
    shown = list(records[::stride])
    if records and shown[-1] is not records[-1]:
        shown.append(records[-1])
    return {
        "type": "scatter",
        "mode": "lines+markers" if markers else "lines",
        "name": plain_text(name),
        "x": [r.step for r in shown],
        "y": [value(r) for r in shown],
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {"color": color, "size": 7},
        "hovertemplate": f"{plain_text(name)}: %{{y:.3g}} at step %{{x}}<extra></extra>",
    }

"""How a pruned network recovers while it is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from plotly.graph_objects import Figure

from lwlab.checks import check_count, check_fraction
from lwlab.plots.template import BLUE, GREEN, GREY, ORANGE, axis, build, legend
from lwlab.units import format_percent

__all__ = ["recovery_curve"]


class RecoveryLike(Protocol):
    """The network at one moment: what is drawn of it."""

    epoch: float
    validation_accuracy: float | None
    training_accuracy: float | None
    sparsity: float


def recovery_curve(
    points: Sequence[RecoveryLike],
    *,
    epochs: int,
    baseline: float,
    untuned: float,
    title: str = "Fine-tuning",
) -> Figure:
    """Return accuracy against epoch, with the ghosts of what it was before and after the cut.

    The sparsity is drawn as well where it changes on the way.

    Args:
        points: the fine-tuning so far, oldest first; may be empty.
        epochs: where the x axis ends.
        baseline: fraction right before pruning.
        untuned: fraction right after the cut, before any training.
        title: above the plot.

    Raises:
        TypeError, ValueError: ``epochs`` or a fraction is out of range.
    """
    epochs = check_count("epochs", epochs)
    baseline = check_fraction("baseline", baseline, allow_one=True)
    untuned = check_fraction("untuned", untuned, allow_one=True)
    scored = [(p.epoch, p.validation_accuracy) for p in points if p.validation_accuracy is not None]
    learned = [(p.epoch, p.training_accuracy) for p in points if p.training_accuracy is not None]
    sparsities = [(p.epoch, p.sparsity) for p in points]
    rising = len({sparsity for _, sparsity in sparsities}) > 1
    traces = [
        _line("before", [(0, baseline), (epochs, baseline)], GREY, dash="dash"),
        _line("after the cut", [(0, untuned), (epochs, untuned)], GREY, dash="dot"),
        _line("train", learned, ORANGE, dash="dash"),
        _line("validation", scored, BLUE, markers=True),
        _line("zeros", sparsities if rising else [], GREEN),
    ]
    newest = format_percent(scored[-1][1]) if scored else "not scored yet"
    return build(
        [trace for trace in traces if trace["x"]],
        title=title,
        summary=f"Accuracy against epoch while fine-tuning; validation: {newest}; before pruning "
        f"{format_percent(baseline)}, after the cut {format_percent(untuned)}.",
        legend_rows=2 if rising else 1,
        plot_height=170 if rising else 192,  # the height of the figure beside it
        xaxis=axis("epoch", range=[0, 1.02 * epochs]),
        yaxis=axis("accuracy (%)", range=[0, 104]),
        **legend(),
    )


def _line(
    name: str,
    points: Sequence[tuple[float, float]],
    color: str,
    *,
    dash: str = "solid",
    markers: bool = False,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if markers else "lines",
        "name": name,
        "x": [x for x, _ in points],
        "y": [100 * y for _, y in points],
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {"color": color, "size": 6},
        "hovertemplate": f"{name}: %{{y:.1f}} % at epoch %{{x:.2g}}<extra></extra>",
    }

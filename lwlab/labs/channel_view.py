"""How ChannelLab looks: its controls, figures and bars, its headline, the code it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets

from lwlab import plots
from lwlab.labs.before_after import Pair, before_after
from lwlab.labs.live_plot import Screen
from lwlab.units import (
    format_bytes,
    format_count,
    format_interval,
    format_milliseconds,
    format_percent,
    format_points,
)

if TYPE_CHECKING:
    from lwlab.labs.channel import ChannelParams, ChannelResult

__all__ = ["ChannelView", "controls", "rows"]

_SHOWN_TRIES = 40
_CODE = {
    "filter norm": "prune.filter_norm",
    "random": "prune.RandomImportance(seed=0)",
    "activation entropy": "prune.activation_entropy(model, dataset.train.take(500))",
}


def controls(params: ChannelParams) -> dict[str, widgets.ValueWidget]:
    """Return the widgets of ChannelLab by the field of ``ChannelParams`` each one sets."""
    wide = {"style": {"description_width": "initial"}}
    return {
        "pruning_ratio": widgets.FloatSlider(
            params.pruning_ratio,
            min=0,
            max=max(0.95, params.pruning_ratio),
            step=0.01,
            description="Pruning ratio",
            readout_format=".0%",
            layout={"width": "380px"},
            **wide,
        ),
        "criterion": widgets.Dropdown(
            options=list(_CODE), value=params.criterion, description="Criterion", **wide
        ),
        "scope": widgets.ToggleButtons(
            options=[("layer", "layer"), ("global", "global")],
            value=params.scope,
            tooltips=["the same share of each group", "one ranking of all channels"],
            style={"button_width": "84px"},
        ),
    }


def rows(parts: dict[str, widgets.ValueWidget]) -> list[widgets.Widget]:
    """Return the controls in one row, which wraps on a narrow page."""
    scope = widgets.HBox([widgets.Label("Scope"), parts["scope"]])
    row = [parts["pruning_ratio"], parts["criterion"], scope]
    return [widgets.HBox(row, layout={"flex_flow": "row wrap"})]


class ChannelView:
    """Draws results of ChannelLab; holds only what does not change while the slider moves.

    Args:
        layers: names of all layers that a group may touch, in the model's order.
        baseline: what was measured before anything was removed.
        model_name: for the code.
    """

    def __init__(self, layers: tuple[str, ...], baseline: ChannelResult, model_name: str) -> None:
        self._layers, self._baseline, self._model_name = layers, baseline, model_name

    def draw(
        self, params: ChannelParams, result: ChannelResult, past: Sequence[ChannelResult]
    ) -> Screen:
        """Return the screen of ``result``; ``past`` are the results of earlier settings."""
        figures = (
            plots.channel_groups(self._layers, result.plan.groups),
            plots.accuracy_against_size(
                [_point("earlier", earlier) for earlier in past[-_SHOWN_TRIES:]],
                baseline=_point("before", self._baseline),
                current=_point("now", result),
            ),
        )
        details = before_after("What it costs", self._pairs(result)) + _refusals(result)
        return Screen(figures, self._headline(result), details, self._code(params))

    def _pairs(self, result: ChannelResult) -> list[Pair]:
        before, now = self._baseline.costs, result.costs
        latency, whole = now.latency, result.whole_latency
        return [
            Pair("parameters", before.parameters, now.parameters, format_count),
            Pair("multiply-accumulates", before.macs, now.macs, format_count),
            Pair(
                f"time, {latency.batch_size} examples",
                whole.median_ms,
                latency.median_ms,
                format_milliseconds,
                "no difference seen" if latency.overlaps(whole) else "",
            ),
            Pair("file", before.breakdown.total, now.breakdown.total, format_bytes),
        ]

    def _headline(self, result: ChannelResult) -> str:
        before, now = self._baseline.accuracy, result.accuracy
        kept = sum(len(group.kept) for group in result.plan.groups)
        total = sum(group.channels for group in result.plan.groups)
        return (
            "<table><tr>"
            f"<th>validation</th><td><strong>{format_percent(now.value)}</strong> right "
            f"({format_interval(now.low, now.high)}, {now.total:,} examples), "
            f"{format_points(now.value - before.value)} against before</td>"
            f"<th>channels</th><td><strong>{kept}</strong> of {total}</td>"
            f"<th>file</th><td><strong>{format_bytes(result.size_bytes)}</strong></td>"
            "</tr></table>"
        )

    def _code(self, params: ChannelParams) -> str:
        scope = "" if params.scope == "layer" else f", scope={params.scope!r}"
        return (
            "from lwlab import measure, packing, prune\n\n"
            f"importance = {_CODE[params.criterion]}\n"
            f"plan = prune.plan_channels(model, pruning_ratio={params.pruning_ratio!r}{scope},\n"
            "                           example_inputs=dataset.validation.inputs[:1],\n"
            "                           importance=importance)\n"
            "print(plan)\n"
            f"small = prune.remove_channels(model, plan=plan)  # model: your {self._model_name}\n"
            "print(measure.accuracy(small, dataset.validation))\n"
            'print(packing.save(small, "small.lwlab"), "bytes")'
        )


def _refusals(result: ChannelResult) -> str:
    """Return what stays whole, with the reason, in a fold."""
    if not result.plan.refusals:
        return ""
    items = "".join(
        f"<li><b>{escape(refusal.layer)}</b>: {escape(refusal.reason)}</li>"
        for refusal in result.plan.refusals
    )
    count = len(result.plan.refusals)
    title = "1 layer keeps its outputs" if count == 1 else f"{count} layers keep their outputs"
    return f'<details class="lwlab-panel"><summary>{title}</summary><ul>{items}</ul></details>'


def _point(label: str, result: ChannelResult) -> plots.TradeoffPoint:
    accuracy = result.accuracy
    parameters = format_count(result.costs.parameters)
    return plots.TradeoffPoint(
        f"{label}: {parameters} parameters",
        accuracy.value,
        accuracy.low,
        accuracy.high,
        result.size_bytes,
    )

"""How PruneLab looks: its figures and bars, and its headline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from plotly.graph_objects import Figure
from torch import Tensor

from lwlab import plots
from lwlab.data import Dataset
from lwlab.labs.damage_view import damage_html
from lwlab.labs.html_bars import file_bars, file_parts, layer_rows, panel
from lwlab.labs.live_plot import Screen
from lwlab.labs.prune.bench import Bench
from lwlab.labs.prune.code import code
from lwlab.labs.prune.params import PruneParams
from lwlab.labs.prune.result import PruneResult
from lwlab.labs.prune.tuning import Recovery, steps_per_record
from lwlab.plots.recovery import recovery_curve
from lwlab.units import (
    format_bytes,
    format_interval,
    format_percent,
    format_points,
    format_ratio,
)

__all__ = ["PruneView"]

# Each bar and each mark is an element that the browser draws anew at every move.
_BARS = 40
_SHOWN_TRIES = 40


class PruneView:
    """Draws results of PruneLab; holds only what does not change while the sliders move.

    Args:
        weights: unpruned weights of the compressible layers by name.
        bench: what computes the results; its baseline and criteria are shown.
        model_name: for the code.
        dataset: for names and pictures.
    """

    def __init__(
        self, weights: dict[str, Tensor], bench: Bench, model_name: str, dataset: Dataset
    ) -> None:
        self._names = list(weights)
        self._counts = [weight.numel() for weight in weights.values()]
        self._bins = plots.bin_weights(list(weights.values()), bins=_BARS)
        self._baseline, self._criteria = bench.baseline, bench.criteria
        self._model_name = model_name
        self._dataset = dataset

    def draw(self, params: PruneParams, result: PruneResult, past: Sequence[PruneResult]) -> Screen:
        """Return the screen of ``result``; ``past`` are the results of earlier settings."""
        masks = [result.masks[name] for name in self._names]
        zeros = [1 - float(mask.float().mean()) for mask in masks]
        parts, before = file_parts(result.breakdown), self._baseline.size_bytes
        return Screen(
            (self._first_figure(masks, result.recovery), self._tradeoff(result, past)),
            headline=self._headline(params, result),
            details=self._details(params, result, zeros),
            code=code(
                params,
                result.recovery,
                self._criteria,
                model_name=self._model_name,
                steps_per_record=steps_per_record(self._dataset),
            ),
            still=lambda: (
                plots.layer_bars(self._names, zeros, self._counts),
                plots.size_bars(parts, baseline_bytes=before),
            ),
        )

    def _first_figure(self, masks: list[Tensor], recovery: Recovery | None) -> Figure:
        """Return which weights go; once there is a fine-tuning, how the network recovers."""
        if recovery is None:
            return plots.weight_histogram(self._bins, kept=masks, title="Which weights go")
        return recovery_curve(
            recovery.points,
            epochs=recovery.epochs,
            baseline=self._baseline.accuracy.value,
            untuned=recovery.untuned.value,
        )

    def _tradeoff(self, result: PruneResult, past: Sequence[PruneResult]) -> Figure:
        points = [_point("earlier", earlier) for earlier in past[-_SHOWN_TRIES:]]
        if result.tuned:
            points.append(_untuned_point(result))
        return plots.accuracy_against_size(
            points,
            baseline=_point("before pruning", self._baseline),
            current=_point("now", result),
        )

    def _details(self, params: PruneParams, result: PruneResult, zeros: list[float]) -> str:
        if params.show == "layers":
            before = self._baseline.size_bytes
            layers = layer_rows(self._names, zeros, self._counts)
            file = file_bars(file_parts(result.breakdown), baseline_bytes=before)
            return panel("Zeros in each layer", layers) + panel("The file, byte by byte", file)
        return damage_html(result.damage, params.show, self._dataset, "before pruning")

    def _headline(self, params: PruneParams, result: PruneResult) -> str:
        before, now = self._baseline.accuracy, result.accuracy
        interval = format_interval(now.low, now.high)
        test = ""
        if result.test_accuracy is not None:
            test = f"<th>on test</th><td>{escape(str(result.test_accuracy))}</td>"
        rows = (("criterion", self._note(params)), ("fine-tuning", _recovered(params, result)))
        notes = "".join(
            f'<tr><th style="white-space:nowrap">{name}</th>'
            f'<td colspan="7">{escape(text)}</td></tr>'
            for name, text in rows
        )
        return (
            "<table><tr>"
            f"<th>validation</th><td><strong>{format_percent(now.value)}</strong> right "
            f"({interval}, {now.total:,} examples), {format_points(now.value - before.value)} "
            "against before</td>"
            f"<th>file</th><td><strong>{format_bytes(result.size_bytes)}</strong>, "
            f"{format_ratio(self._baseline.size_bytes / result.size_bytes)} smaller</td>"
            f'<th>zeros</th><td style="white-space:nowrap">{format_percent(result.sparsity)}</td>'
            f"{test}"
            f"</tr>{notes}</table>"
        )

    def _note(self, params: PruneParams) -> str:
        if not params.ranked:
            return "A threshold looks at |weight| itself: it knows no other criterion."
        note = self._criteria.note(params.criterion)
        if params.by == "n_of_m":
            kept, group = params.kept_of_group
            note += f" Of every {group} neighbouring input channels {kept} stay."
        return note


def _recovered(params: PruneParams, result: PruneResult) -> str:
    """Return how the training stands, and the network without it."""
    recovery = result.recovery
    if recovery is None:
        return "none at this cut"
    without = (
        f"without it {format_percent(recovery.untuned.value)} right from "
        f"{format_bytes(recovery.untuned_bytes)}"
    )
    scored = recovery.validation_accuracy
    done = f"{recovery.epochs_done:.1f} of {recovery.epochs} epochs"
    if recovery.ended:
        gained = format_points(result.accuracy.value - recovery.untuned.value)
        sudden = " in one shot" if params.schedule != "one_shot" else ""
        return f"{recovery.state} after {done}, {gained}; {without}{sudden}"
    now = "not scored yet" if scored is None else f"{format_percent(scored)} right by now"
    return f"running, {done}, {now}"


def _point(label: str, result: PruneResult) -> plots.TradeoffPoint:
    tuned = ", fine-tuned" if result.tuned else ""
    accuracy = result.accuracy
    return plots.TradeoffPoint(
        f"{label}: {format_percent(result.sparsity)} zeros{tuned}",
        accuracy.value,
        accuracy.low,
        accuracy.high,
        result.size_bytes,
    )


def _untuned_point(result: PruneResult) -> plots.TradeoffPoint:
    accuracy = result.recovery.untuned
    return plots.TradeoffPoint(
        "without fine-tuning",
        accuracy.value,
        accuracy.low,
        accuracy.high,
        result.recovery.untuned_bytes,
    )

"""How QuantizeLab looks: its figures and bars, and its headline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from plotly.graph_objects import Figure

from lwlab import plots
from lwlab.data import Dataset
from lwlab.labs.damage_view import damage_html
from lwlab.labs.html_bars import bar, file_bars, file_parts, panel
from lwlab.labs.live_plot import Screen
from lwlab.labs.quantize.bench import Bench
from lwlab.labs.quantize.code import code
from lwlab.labs.quantize.desk import width_text
from lwlab.labs.quantize.layer_view import LayerView
from lwlab.labs.quantize.layers import LayerNoise
from lwlab.labs.quantize.params import BY_HAND, BY_LAYER, FLOAT, QuantizeParams
from lwlab.labs.quantize.result import QuantizeResult
from lwlab.labs.quantize.settings import RULES_BY_NAME
from lwlab.plots.quantization import grid_histogram, layer_error_bars
from lwlab.units import (
    format_bytes,
    format_count,
    format_interval,
    format_percent,
    format_points,
    format_ratio,
)

__all__ = ["QuantizeView"]

# Each bar and each mark is an element that the browser draws anew at every move.
_BARS = 60
_SHOWN_TRIES = 40
_FULL_BAR = 60.0  # decibels: ten bits


class QuantizeView:
    """Draws results of QuantizeLab; holds only what does not change while the sliders move.

    Args:
        bench: what computes the results; its baseline, weights and settings are shown.
        model_name: for the code.
        dataset: for names and pictures.
    """

    def __init__(self, bench: Bench, model_name: str, dataset: Dataset) -> None:
        self._bins = {
            name: plots.bin_weights(weight, bins=_BARS)
            for name, weight in bench.quantizers.weights.items()
        }
        self._quantizers, self._baseline = bench.quantizers, bench.baseline
        self._model_name, self._dataset = model_name, dataset

    def draw(
        self, params: QuantizeParams, result: QuantizeResult, past: Sequence[QuantizeResult]
    ) -> Screen:
        """Return the screen of ``result``; ``past`` are the results of earlier settings."""
        parts, before = file_parts(result.breakdown), self._baseline.size_bytes
        return Screen(
            (self._histogram(result.view), self._tradeoff(result, past)),
            headline=self._headline(params, result),
            details=self._details(params, result),
            code=code(
                params,
                {name: layer.setting for name, layer in result.layers.items()},
                model_name=self._model_name,
                came_prepared=self._quantizers.came_prepared,
            ),
            still=lambda: (
                layer_error_bars(
                    list(result.layers),
                    [layer.decibels for layer in result.layers.values()],
                    [_noise_text(layer) for layer in result.layers.values()],
                ),
                plots.size_bars(parts, baseline_bytes=before),
            ),
        )

    def _histogram(self, view: LayerView) -> Figure:
        return grid_histogram(
            self._bins[view.name],
            view.grids,
            clip=view.lines,
            clipped=view.clipped,
            title=_histogram_title(view),
        )

    def _tradeoff(self, result: QuantizeResult, past: Sequence[QuantizeResult]) -> Figure:
        return plots.accuracy_against_size(
            [_point("earlier", earlier) for earlier in past[-_SHOWN_TRIES:]],
            baseline=_point("float", self._baseline),
            current=_point("now", result),
        )

    def _details(self, params: QuantizeParams, result: QuantizeResult) -> str:
        if params.show != "layers":
            return damage_html(result.damage, params.show, self._dataset, "in float")
        file = file_bars(file_parts(result.breakdown), baseline_bytes=self._baseline.size_bytes)
        rows = [_noise_row(name, layer) for name, layer in result.layers.items()]
        return panel("Signal to noise of each layer", rows) + panel("The file, byte by byte", file)

    def _headline(self, params: QuantizeParams, result: QuantizeResult) -> str:
        before, now = self._baseline.accuracy, result.accuracy
        interval = format_interval(now.low, now.high)
        test = ""
        if result.test_accuracy is not None:
            test = f"<th>on test</th><td>{escape(str(result.test_accuracy))}</td>"
        return (
            "<table><tr>"
            f"<th>validation</th><td><strong>{format_percent(now.value)}</strong> right "
            f"({interval}, {now.total:,} examples), {format_points(now.value - before.value)} "
            "against float</td>"
            f"<th>file</th><td><strong>{format_bytes(result.size_bytes)}</strong>, "
            f"{format_ratio(self._baseline.size_bytes / result.size_bytes)} smaller</td>"
            f"{test}</tr>"
            '<tr><th style="white-space:nowrap">range</th>'
            f'<td colspan="5">{escape(_note(params, result))}</td></tr></table>'
        )


def _histogram_title(view: LayerView) -> str:
    if not view.scales:
        return f"Weights of {view.name}, in float"
    scales = "one scale" if view.scales == 1 else f"{format_count(view.scales)} scales"
    drag = "" if view.lines is None else "; drag the lines"
    return f"{view.name} and its grid, {scales}{drag}"


def _note(params: QuantizeParams, result: QuantizeResult) -> str:
    """Return how the range of the shown layer was chosen, and what it clips."""
    view = result.view
    setting = result.layers[view.name].setting
    if setting.width == FLOAT:
        return f"{view.name} is in float."
    if setting.low_bit:
        values = "Two values" if setting.width == 1 else "Three values"
        return f"{values} for each scale, by the mean size of its weights: there is no range."
    text = RULES_BY_NAME[setting.rule].note
    if params.rule == BY_HAND and setting.rule != BY_HAND:
        text += f" {view.name} has no lines of its own yet."
    share = format_percent(float(view.clipped.float().mean()))
    return (
        f"{text} {share} of {view.name} clipped, from {view.lines[0]:.3g} to {view.lines[1]:.3g}."
    )


def _noise_row(name: str, layer: LayerNoise) -> tuple[str, str, str]:
    share = min(1.0, max(0.0, layer.decibels / _FULL_BAR))
    return name, bar([("lwlab-part-0", share)], "lwlab-frame"), _noise_text(layer)


def _noise_text(layer: LayerNoise) -> str:
    width = width_text(layer.setting.width)
    if layer.setting.width == FLOAT:
        return "float, no noise"
    if layer.decibels == math.inf:
        return f"no noise, {width}"
    return f"{layer.decibels:.1f} dB, {width}"


def _point(label: str, result: QuantizeResult) -> plots.TradeoffPoint:
    accuracy, widths = result.accuracy, {layer.setting.width for layer in result.layers.values()}
    width = width_text(widths.pop()) if len(widths) == 1 else BY_LAYER
    return plots.TradeoffPoint(
        f"{label}: {width}", accuracy.value, accuracy.low, accuracy.high, result.size_bytes
    )

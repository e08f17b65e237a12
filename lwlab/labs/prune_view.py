"""How PruneLab looks: its controls, figures and bars, its headline, the code it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets
from torch import Tensor

from lwlab import plots
from lwlab.labs.html_bars import file_bars, layer_rows, panel
from lwlab.labs.live_plot import Screen
from lwlab.units import (
    format_bytes,
    format_interval,
    format_percent,
    format_points,
    format_ratio,
)

if TYPE_CHECKING:
    from lwlab.labs.prune import PruneParams, PruneResult

__all__ = ["PruneView", "controls", "rows"]

# Each bar and each mark is an element that the browser draws anew at every move.
_BARS = 40
_SHOWN_TRIES = 40


def controls(params: PruneParams, weights: dict[str, Tensor]) -> dict[str, widgets.ValueWidget]:
    """Return the widgets of PruneLab by the field of ``PruneParams`` each one sets."""
    largest = max(float(weight.abs().max()) for weight in weights.values())
    return {
        "by": widgets.ToggleButtons(
            options=[("sparsity", "sparsity"), ("threshold", "threshold"), ("std", "deviations")],
            value=params.by,
            tooltips=[
                "a share of the weights, the smallest first",
                "all weights smaller than a number",
                "all weights smaller than so many standard deviations of their layer",
            ],
            style={"button_width": "84px"},
        ),
        "sparsity": _slider("Sparsity", params.sparsity, 0.995, step=0.005, shown_as=".1%"),
        "threshold": _slider(
            "Threshold", params.threshold, largest, step=largest / 400, shown_as=".4f"
        ),
        "deviations": _slider("Threshold in std", params.deviations, 4, step=0.02, shown_as=".2f"),
        "scope": widgets.ToggleButtons(
            options=[("global", "global"), ("layer", "layer")],
            value=params.scope,
            tooltips=["one ranking of all weights", "the same share of each layer"],
            style={"button_width": "84px"},
        ),
    }


def _slider(
    name: str, value: float, top: float, *, step: float, shown_as: str
) -> widgets.FloatSlider:
    """Return a slider from 0 to ``top``, or to its first value where that lies beyond."""
    return widgets.FloatSlider(
        value,
        min=0,
        max=max(top, value),
        step=step,
        description=name,
        readout_format=shown_as,
        layout={"width": "420px"},
        style={"description_width": "initial"},
    )


def rows(parts: dict[str, widgets.ValueWidget], button: widgets.Button) -> list[widgets.Widget]:
    """Return the rows of controls; of the three sliders only the one that counts is shown."""
    sliders = {name: parts[name] for name in ("sparsity", "threshold", "deviations")}

    scope = widgets.HBox([widgets.Label("Scope"), parts["scope"]])

    def show_the_one_that_counts(*_: object) -> None:
        for name, slider in sliders.items():
            slider.layout.display = None if name == parts["by"].value else "none"
        scope.layout.display = None if parts["by"].value == "sparsity" else "none"

    parts["by"].observe(show_the_one_that_counts, names="value")
    show_the_one_that_counts()
    wrap = {"flex_flow": "row wrap"}
    return [
        widgets.HBox([widgets.Label("Prune by"), parts["by"], *sliders.values()], layout=wrap),
        widgets.HBox([scope, button], layout=wrap),
    ]


class PruneView:
    """Draws results of PruneLab; holds only what does not change while the sliders move.

    Args:
        weights: unpruned weights of the compressible layers by name.
        baseline: what was measured before anything was pruned.
        model_name: for the code.
    """

    def __init__(self, weights: dict[str, Tensor], baseline: PruneResult, model_name: str) -> None:
        self._names = list(weights)
        self._counts = [weight.numel() for weight in weights.values()]
        self._bins = plots.bin_weights(list(weights.values()), bins=_BARS)
        self._baseline = baseline
        self._model_name = model_name

    def draw(self, params: PruneParams, result: PruneResult, past: Sequence[PruneResult]) -> Screen:
        """Return the screen of ``result``; ``past`` are the results of earlier settings."""
        masks = [result.masks[name] for name in self._names]
        zeros = [1 - float(mask.float().mean()) for mask in masks]
        figures = (
            plots.weight_histogram(self._bins, kept=masks, title="Which weights go"),
            plots.accuracy_against_size(
                [_point("earlier", earlier) for earlier in past[-_SHOWN_TRIES:]],
                baseline=_point("before pruning", self._baseline),
                current=_point("now", result),
            ),
        )
        parts, before = _parts(result), self._baseline.size_bytes
        layers = layer_rows(self._names, zeros, self._counts)
        return Screen(
            figures,
            headline=self._headline(result),
            details=panel("Zeros in each layer", layers)
            + panel("The file, byte by byte", file_bars(parts, baseline_bytes=before)),
            code=self._code(params),
            still=lambda: (
                plots.layer_bars(self._names, zeros, self._counts),
                plots.size_bars(parts, baseline_bytes=before),
            ),
        )

    def _headline(self, result: PruneResult) -> str:
        before, now = self._baseline.accuracy, result.accuracy
        interval = format_interval(now.low, now.high)
        test = ""
        if result.test_accuracy is not None:
            test = f"<th>on test</th><td>{escape(str(result.test_accuracy))}</td>"
        return (
            "<table><tr>"
            f"<th>validation</th><td><strong>{format_percent(now.value)}</strong> right "
            f"({interval}, {now.total:,} examples), {format_points(now.value - before.value)} "
            "against before</td>"
            f"<th>file</th><td><strong>{format_bytes(result.size_bytes)}</strong>, "
            f"{format_ratio(self._baseline.size_bytes / result.size_bytes)} smaller</td>"
            f"<th>zeros</th><td>{format_percent(result.sparsity)}</td>{test}"
            "</tr></table>"
        )

    def _code(self, params: PruneParams) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in params.as_arguments().items())
        return (
            "import copy\n\nfrom lwlab import measure, packing, prune\n\n"
            f"pruned = copy.deepcopy(model)  # your trained {self._model_name}\n"
            f"prune.mask_model_(pruned, {arguments})\n"
            "print(measure.accuracy(pruned, dataset.validation))\n"
            'print(packing.save(pruned, "pruned.lwlab"), "bytes")'
        )


def _point(label: str, result: PruneResult) -> plots.TradeoffPoint:
    accuracy = result.accuracy
    return plots.TradeoffPoint(
        f"{label}: {format_percent(result.sparsity)} zeros",
        accuracy.value,
        accuracy.low,
        accuracy.high,
        result.size_bytes,
    )


def _parts(result: PruneResult) -> dict[str, int]:
    breakdown = result.breakdown
    parts = {
        "values": breakdown.values,
        "positions": breakdown.positions,
        "other": breakdown.other,
        "header": breakdown.header,
    }
    return {name: size for name, size in parts.items() if size or name != "other"}

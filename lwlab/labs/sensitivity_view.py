"""How SensitivityLab looks: its controls, figures and bars, its headline, the code it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from torch import nn

from lwlab import plots
from lwlab.labs.html_bars import file_bars, file_parts, layer_rows, panel
from lwlab.labs.layer_choices import LayerChoices
from lwlab.labs.live_plot import Click, Screen
from lwlab.models import compressible_layers
from lwlab.plots.heatmap import sensitivity_heatmap
from lwlab.prune.sensitivity import SPARSITIES, Sensitivity
from lwlab.units import (
    format_bytes,
    format_interval,
    format_percent,
    format_points,
    format_ratio,
)

if TYPE_CHECKING:
    from lwlab.labs.sensitivity import SensitivityParams, SensitivityResult

__all__ = ["SensitivityView", "controls", "rows", "scan_button", "show_scan"]

_SHOWN_TRIES = 40


def controls(layers: Sequence[str], columns: Sequence[float]) -> dict[str, Any]:
    """Return the widgets of SensitivityLab by the field of ``SensitivityParams`` each one sets."""
    return {
        "target": widgets.FloatSlider(
            0.0,
            min=0,
            max=max(columns),
            step=0.01,
            description="Allocate for",
            readout_format=".0%",
            layout={"width": "420px"},
            style={"description_width": "initial"},
        ),
        "choices": LayerChoices(layers, columns),
    }


def scan_button() -> widgets.Button:
    """Return the button that stops the scan and lets it go on."""
    return widgets.Button(layout={"width": "190px"}, tooltip="Stop the scan, or let it go on")


def show_scan(button: widgets.Button, table: Sensitivity, *, running: bool) -> None:
    """Let the button say what it does now."""
    done = table.done == table.total
    rest = "Scan complete" if done else f"Go on ({table.done} of {table.total})"
    button.description = "Stop the scan" if running else rest
    button.icon = "stop" if running else "check" if done else "play"


def rows(parts: dict[str, Any], button: widgets.Button) -> list[widgets.Widget]:
    """Return the target and the button in a row, and the layers in a fold."""
    fold = widgets.Accordion([parts["choices"]], titles=("Sparsity of each layer",))
    return [widgets.HBox([parts["target"], button], layout={"flex_flow": "row wrap"}), fold]


class SensitivityView:
    """Draws results of SensitivityLab; holds only what does not change while choices do.

    Args:
        model: the network as it came.
        baseline: what was measured of it, with a scan that knows its layers and sparsities.

    Attributes:
        columns: sparsities of the heatmap's columns; the first one is 0.
    """

    def __init__(self, model: nn.Module, baseline: SensitivityResult) -> None:
        table = baseline.sensitivity
        self.columns = tuple(dict.fromkeys((0.0, *table.sparsities)))
        self._layers = table.layers
        self._counts = {layer.name: layer.weight.numel() for layer in compressible_layers(model)}
        self._baseline = baseline
        self._model_name = type(model).__name__

    def cell_of(self, click: Click) -> tuple[str, float] | None:
        """Return layer and sparsity of a click on the heatmap; None for any other click."""
        places = (click.figure, click.x, click.y)
        if click.figure != 0 or not all(isinstance(place, int | float) for place in places):
            return None
        column, row = round(click.x), round(click.y)
        if not (0 <= column < len(self.columns) and 0 <= row < len(self._layers)):
            return None
        return self._layers[row], self.columns[column]

    def draw(
        self, params: SensitivityParams, result: SensitivityResult, past: Sequence[Any]
    ) -> Screen:
        """Return the screen of ``result``; ``past`` are the results of earlier choices."""
        figures = (
            self._heatmap(params, result.sensitivity),
            plots.accuracy_against_size(
                [_point("earlier", earlier) for earlier in past[-_SHOWN_TRIES:]],
                baseline=_point("before pruning", self._baseline),
                current=_point("now", result),
                title="All choices together",
            ),
        )
        parts, before = file_parts(result.breakdown), self._baseline.size_bytes
        names, zeros = list(result.zeros), list(result.zeros.values())
        counts = [self._counts[name] for name in names]
        return Screen(
            figures,
            headline=self._headline(params, result),
            details=panel("Zeros in each layer", layer_rows(names, zeros, counts))
            + panel("The file, byte by byte", file_bars(parts, baseline_bytes=before)),
            code=self._code(params, result.sensitivity),
            still=lambda: (
                plots.layer_bars(names, zeros, counts),
                plots.size_bars(parts, baseline_bytes=before),
            ),
        )

    def _heatmap(self, params: SensitivityParams, table: Sensitivity) -> Any:
        points = [
            [table.accuracy_at(name, sparsity) for sparsity in self.columns]
            for name in table.layers
        ]
        return sensitivity_heatmap(
            table.layers,
            self.columns,
            points,
            baseline=table.baseline,
            chosen=params.choices,
            title="Right (%) with one layer pruned: click a cell",
        )

    def _headline(self, params: SensitivityParams, result: SensitivityResult) -> str:
        before, now = self._baseline.accuracy, result.accuracy
        interval = format_interval(now.low, now.high)
        return (
            "<table><tr>"
            f"<th>together</th><td><strong>{format_percent(now.value)}</strong> right "
            f"({interval}, {now.total:,} validation examples), "
            f"{format_points(now.value - before.value)} against before</td>"
            f"<th>file</th><td><strong>{format_bytes(result.size_bytes)}</strong>, "
            f"{format_ratio(self._baseline.size_bytes / result.size_bytes)} smaller</td>"
            f'<th>zeros</th><td style="white-space:nowrap">{format_percent(result.sparsity)}</td>'
            f'</tr><tr><th>one by one</th><td colspan="5">{_apart(params, result)}</td></tr>'
            "</table>"
        )

    def _code(self, params: SensitivityParams, table: Sensitivity) -> str:
        chosen = {name: value for name, value in params.choices.items() if value > 0}
        other = "" if table.sparsities == SPARSITIES else f", sparsities={table.sparsities}"
        other += "" if table.tolerance is None else f", tolerance={table.tolerance}"
        prune = f"prune.mask_model_(pruned, sparsity={chosen})\n" if chosen else ""
        return (
            "import copy\n\nfrom lwlab import measure, packing, prune\n\n"
            f"# model: your trained {self._model_name}\n"
            f"*_, sensitivity = prune.scan_sensitivity(model, dataset.validation{other})\n"
            f"print(sensitivity)\n"
            f"# prune.allocate(sensitivity, model, sparsity={params.target:g}) fills the choices\n"
            "pruned = copy.deepcopy(model)\n"
            f"{prune}"
            "print(measure.accuracy(pruned, dataset.validation))\n"
            'print(packing.save(pruned, "pruned.lwlab"), "bytes")'
        )


def _apart(params: SensitivityParams, result: SensitivityResult) -> str:
    """Return what the chosen layers lose one by one, added up, where all of it is measured."""
    table = result.sensitivity
    drops = [table.drop_at(name, value) for name, value in params.choices.items() if value > 0]
    if not drops:
        return "nothing is pruned yet: click on a cell to prune its layer so far"
    if None in drops:
        return "not every choice is measured alone"
    return f"{format_points(-sum(drops))}, the losses of each layer alone added up"


def _point(label: str, result: SensitivityResult) -> plots.TradeoffPoint:
    accuracy = result.accuracy
    return plots.TradeoffPoint(
        f"{label}: {format_percent(result.sparsity)} zeros",
        accuracy.value,
        accuracy.low,
        accuracy.high,
        result.size_bytes,
    )

"""The desk of PruneLab: a slider a layer beside what that layer bears, and a budget to keep to."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets

from lwlab.labs.html_bars import bar
from lwlab.labs.layer_choices import LayerChoices
from lwlab.prune.sensitivity import SPARSITIES, Sensitivity
from lwlab.units import format_bytes, format_count, format_percent, format_points

if TYPE_CHECKING:
    from lwlab.labs.prune.params import PruneParams
    from lwlab.labs.prune.result import PruneResult

__all__ = ["Desk"]

_SCROLL_FROM_PIXELS = 420
_BLUE, _MARK = "#0072b2", "#d55e00"


class Desk:
    """The widgets of the fold "Layer by layer"; it only shows, the lab decides.

    Args:
        layers: names of the compressible layers.
        chosen: first sparsity of some of them.
        budget: first value of the budget, a share of the file before.
        baseline: what was measured before pruning.

    Attributes:
        choices: the sliders; one trait ``value`` for all.
        budget: what the learner aims at.
        measure_button, fill_button: measure the sensitivity; fill the sliders by it.
        box: everything, to be put into a fold.

    Raises:
        ValueError: ``chosen`` names no layer, or a sparsity that a slider cannot stand at.
    """

    def __init__(
        self, layers: list[str], chosen: Mapping[str, float], budget: float, baseline: PruneResult
    ) -> None:
        self._baseline = baseline
        self._open = False
        self._newest: tuple[PruneParams, PruneResult] | None = None
        self.choices = LayerChoices(layers, (0.0, *SPARSITIES))
        self.choices.value = self.choices.merged(chosen)
        self._strips = {name: widgets.HTML(layout={"flex": "0 0 220px"}) for name in layers}
        self._lay_out_rows()
        self.choices.layout = {"max_height": f"{_SCROLL_FROM_PIXELS}px", "overflow": "auto"}
        self.budget = widgets.FloatSlider(
            budget,
            min=min(0.01, budget),
            max=1,
            step=0.01,
            description="Budget: share of the file before",
            readout_format=".0%",
            layout={"width": "460px"},
            style={"description_width": "initial"},
        )
        wide = {"width": "190px"}
        self.measure_button = widgets.Button(
            description="Measure sensitivity",
            tooltip="Prune each layer alone, and measure the accuracy",
            layout=wide,
        )
        self.fill_button = widgets.Button(
            description="Fill for the budget",
            tooltip="Choose the sparsities by the measured sensitivity",
            layout=wide,
        )
        self._meter = widgets.HTML()
        buttons = widgets.HBox([self.measure_button, self.fill_button])
        top = widgets.HBox([self.budget, buttons], layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([top, self._meter, self.choices])

    def _lay_out_rows(self) -> None:
        """Put each slider beside the strip of its layer, on a narrow page too."""
        longest = max(len(slider.description) for slider in self.choices.sliders.values())
        for slider in self.choices.sliders.values():
            slider.layout = {"flex": "1 1 260px", "max_width": "480px", "width": "auto"}
            slider.style.description_width = f"{min(180, 14 + 8 * longest)}px"
        self.choices.children = [
            widgets.HBox([slider, self._strips[name]])
            for name, slider in self.choices.sliders.items()
        ]

    def set_open(self, is_open: bool) -> None:
        """Say whether the fold is open: what nobody sees is not drawn at each move."""
        self._open = is_open
        self._draw()

    def show(self, params: PruneParams, result: PruneResult, *, measuring: bool) -> None:
        """Bring everything up to ``result``, now or when the fold opens."""
        self._newest = (params, result)
        self.measure_button.description = "Stop measuring" if measuring else "Measure sensitivity"
        self.measure_button.icon = "stop" if measuring else ""
        self._draw()

    def _draw(self) -> None:
        if not self._open or self._newest is None:
            return
        params, result = self._newest
        for name, html in self._strips.items():
            chosen = params.layer_sparsities.get(name, 0.0)
            html.value = _strip(result.sensitivity, name, chosen)
        self._meter.value = self._metered(params, result)

    def _metered(self, params: PruneParams, result: PruneResult) -> str:
        before, size = self._baseline.size_bytes, result.size_bytes
        allowed = params.budget * before
        kept = sum(int(mask.sum()) for mask in result.masks.values())
        total = sum(mask.numel() for mask in result.masks.values())
        over = size - allowed
        verdict = (
            f"{format_bytes(over)} too many" if over > 0 else f"{format_bytes(-over)} to spare"
        )
        longest = max(before, size)
        meter = bar([("lwlab-part-0", size / longest)], "lwlab-frame", mark=allowed / longest)
        return (
            f'<div style="max-width:640px;line-height:1.5">{meter}'
            f"file <b>{format_bytes(size)}</b> of {format_bytes(allowed)} allowed: {verdict}; "
            f"weights kept {format_count(kept)} of {format_count(total)} "
            f"({format_percent(kept / total)})</div>"
        )


def _strip(table: Sensitivity | None, name: str, chosen: float) -> str:
    """Return a column for each measured sparsity, as high as the accuracy that the layer costs."""
    if table is None or name not in table.layers:
        return '<span style="opacity:0.75;white-space:nowrap">sensitivity not measured</span>'
    columns = "".join(_column(table, name, sparsity, chosen) for sparsity in table.sparsities)
    drop = table.drop_at(name, chosen)
    words = "..." if drop is None else f"{format_points(-drop)} alone"
    words = "not pruned" if chosen == 0 else words
    return (
        '<span style="display:flex;align-items:center;gap:6px;white-space:nowrap">'
        f'<span role="img" aria-label="{escape(f"{name}: {words}")}" style="display:inline-flex;'
        f'height:24px;gap:1px;border-bottom:1px solid #888">{columns}</span>{words}</span>'
    )


def _column(table: Sensitivity, name: str, sparsity: float, chosen: float) -> str:
    """Return one column; a line marks the sparsity at which the slider stands."""
    drop = table.drop_at(name, sparsity)
    mark = f"border-left:2px solid {_MARK};" if sparsity == chosen else ""
    height, text = 0.0, "not measured"
    if drop is not None:
        height = 24 * min(1.0, max(0.04, drop / max(table.baseline.value, 1e-9)))
        text = format_points(-drop)
    return (
        f'<i title="{100 * sparsity:g} % pruned: {text}" style="box-sizing:border-box;width:9px;'
        f'height:24px;{mark}display:flex;align-items:flex-end">'
        f'<i style="width:100%;height:{height:.1f}px;background:{_BLUE}"></i></i>'
    )

"""LayerDesk: a slider a layer beside what that layer bears alone, and a budget to keep to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, TypeVar

import ipywidgets as widgets

from lwlab.labs.html_bars import bar
from lwlab.labs.layer_choices import LayerChoices
from lwlab.units import format_bytes, format_points

__all__ = ["LayerDesk", "Measured", "byte_meter", "strip"]

Params = TypeVar("Params")
Result = TypeVar("Result")

_SCROLL_FROM_PIXELS = 420
_BLUE, _MARK = "#0072b2", "#d55e00"


class LayerDesk(Generic[Params, Result]):
    """The widgets of a fold "Layer by layer"; it only shows, the lab decides.

    A subclass says what stands beside the sliders: ``strips`` and ``meter``.

    Args:
        choices: the sliders, not yet chosen.
        chosen: first values of some of them.
        budget: first value of the budget, a share of the file before.
        measuring: what the button that measures does, for its tooltip.
        filling: the same for the button that fills the sliders.

    Attributes:
        choices: the sliders; one trait ``value`` for all.
        budget: what the learner aims at.
        measure_button, fill_button: measure the sensitivity; fill the sliders by it.
        box: everything, to be put into a fold.

    Raises:
        ValueError: ``chosen`` names no layer, or a value that a slider cannot stand at.
    """

    def __init__(
        self,
        choices: LayerChoices,
        chosen: Mapping[str, Any],
        budget: float,
        *,
        measuring: str,
        filling: str,
    ) -> None:
        self._open = False
        self._newest: tuple[Params, Result] | None = None
        self.choices = choices
        self.choices.value = choices.merged(chosen)
        self._strips = {name: widgets.HTML(layout={"flex": "0 0 220px"}) for name in choices.value}
        self._lay_out_rows()
        self.choices.layout = {"max_height": f"{_SCROLL_FROM_PIXELS}px", "overflow": "auto"}
        self.budget = _budget(budget)
        self.measure_button = _button("Measure sensitivity", measuring)
        self.fill_button = _button("Fill for the budget", filling)
        self._meter = widgets.HTML()
        buttons = widgets.HBox([self.measure_button, self.fill_button])
        top = widgets.HBox([self.budget, buttons], layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([top, self._meter, self.choices])

    def strips(self, params: Params, result: Result) -> dict[str, str]:
        """Return the HTML beside each slider by the name of its layer."""
        raise NotImplementedError

    def meter(self, params: Params, result: Result) -> str:
        """Return the HTML that holds the file against the budget."""
        raise NotImplementedError

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

    def show(self, params: Params, result: Result, *, measuring: bool) -> None:
        """Bring everything up to ``result``, now or when the fold opens."""
        self._newest = (params, result)
        self.measure_button.description = "Stop measuring" if measuring else "Measure sensitivity"
        self.measure_button.icon = "stop" if measuring else ""
        self._draw()

    def _draw(self) -> None:
        if not self._open or self._newest is None:
            return
        for name, html in self.strips(*self._newest).items():
            self._strips[name].value = html
        self._meter.value = self.meter(*self._newest)


def _budget(share: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        share,
        min=min(0.01, share),
        max=1,
        step=0.01,
        description="Budget: share of the file before",
        readout_format=".0%",
        layout={"width": "460px"},
        style={"description_width": "initial"},
    )


def _button(text: str, tooltip: str) -> widgets.Button:
    return widgets.Button(description=text, tooltip=tooltip, layout={"width": "190px"})


def byte_meter(size: int, before: int, allowed: float, more: str) -> str:
    """Return a file as a bar against what is allowed, in bytes, with ``more`` words after it.

    Args:
        size: bytes of the file now.
        before: bytes of the file that nothing was done to.
        allowed: bytes of the budget; a line crosses the bar there.
        more: plain text.
    """
    over = size - allowed
    verdict = f"{format_bytes(over)} too many" if over > 0 else f"{format_bytes(-over)} to spare"
    longest = max(before, size)
    meter = bar([("lwlab-part-0", size / longest)], "lwlab-frame", mark=allowed / longest)
    return (
        f'<div style="max-width:640px;line-height:1.5">{meter}'
        f"file <b>{format_bytes(size)}</b> of {format_bytes(allowed)} allowed: {verdict}; "
        f"{escape(more)}</div>"
    )


@dataclass(frozen=True)
class Measured:
    """One column of a strip.

    Attributes:
        option: what was tried, in words: ``50 % pruned``.
        drop: accuracy before minus accuracy with it, a fraction; None where not measured.
        chosen: whether the slider stands there.
    """

    option: str
    drop: float | None
    chosen: bool


def strip(name: str, columns: Sequence[Measured], baseline: float, words: str) -> str:
    """Return a column for each option, as high as the accuracy that it costs the layer alone.

    Args:
        name: of the layer.
        columns: in the order of the slider; none says that nothing is measured yet.
        baseline: accuracy before, a fraction: a column of full height has lost all of it.
        words: what stands behind the columns.
    """
    if not columns:
        return '<span style="opacity:0.75;white-space:nowrap">sensitivity not measured</span>'
    drawn = "".join(_column(column, baseline) for column in columns)
    return (
        '<span style="display:flex;align-items:center;gap:6px;white-space:nowrap">'
        f'<span role="img" aria-label="{escape(f"{name}: {words}")}" style="display:inline-flex;'
        f'height:24px;gap:1px;border-bottom:1px solid #888">{drawn}</span>{escape(words)}</span>'
    )


def _column(column: Measured, baseline: float) -> str:
    """Return one column; a line marks where the slider stands."""
    mark = f"border-left:2px solid {_MARK};" if column.chosen else ""
    height, text = 0.0, "not measured"
    if column.drop is not None:
        height = 24 * min(1.0, max(0.04, column.drop / max(baseline, 1e-9)))
        text = format_points(0 - column.drop)  # not -0.0
    return (
        f'<i title="{escape(column.option)}: {text}" style="box-sizing:border-box;width:9px;'
        f'height:24px;{mark}display:flex;align-items:flex-end">'
        f'<i style="width:100%;height:{height:.1f}px;background:{_BLUE}"></i></i>'
    )

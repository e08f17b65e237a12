"""The controls of QuantizeLab: three in sight, the rest in folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from lwlab.labs.controls import WIDE, WRAP, in_sight, labelled, toggles
from lwlab.labs.quantize.clip_fields import ClipFields
from lwlab.labs.quantize.desk import Desk, width_text
from lwlab.labs.quantize.params import (
    ACTIVATION_WIDTHS,
    BY_HAND,
    BY_LAYER,
    WIDTHS,
    QuantizeParams,
)
from lwlab.labs.quantize.settings import RULES_BY_NAME
from lwlab.plots.template import shorten

__all__ = ["Buttons", "controls", "rows"]

_GROUP_SIZES = (4, 8, 16, 32, 64, 128)
_PERCENTS = (90.0, 95.0, 99.0, 99.5, 99.9, 99.99)
_LONGEST_LAYER = 24


class Buttons:
    """Score on test, and Stop while there is what to stop."""

    def __init__(self) -> None:
        self.test = widgets.Button(
            description="Score on test",
            tooltip="Once, when all choices are made",
            layout={"width": "120px"},
        )
        self.stop = widgets.Button(
            description="Stop",
            icon="stop",
            tooltip="End the measuring, and keep what is there",
            layout={"width": "76px", "visibility": "hidden"},
        )

    def show(self, *, running: bool) -> None:
        """Show Stop while something runs."""
        self.stop.layout.visibility = "visible" if running else "hidden"


def controls(params: QuantizeParams, layers: list[str], desk: Desk) -> dict[str, Any]:
    """Return the widgets of QuantizeLab by the field of ``QuantizeParams`` each one sets."""
    return {
        "num_bits": _choice_slider("Weights", params.num_bits, (*WIDTHS, BY_LAYER), width_text),
        **_ranges(params, layers),
        "layer_bits": desk.choices,
        "symmetric": widgets.Checkbox(
            params.symmetric,
            description="Symmetric weights: the zero point is fixed in the middle",
            indent=False,
            layout={"width": "420px"},
        ),
        "activations": _choice_slider(
            "Activations", params.activations, ACTIVATION_WIDTHS, width_text
        ),
        "rounding": toggles(
            params.rounding,
            nearest=("nearest", "to the closer code"),
            stochastic=("chance", "up as often as the fraction says"),
        ),
        "layer": widgets.Dropdown(
            options=[(shorten(name, _LONGEST_LAYER), name) for name in layers],
            value=params.layer,
            description="Layer",
            layout={"width": "230px"},
            **WIDE,
        ),
        "show": toggles(
            params.show,
            layers=("layers", "signal to noise of each layer, bytes of the file"),
            classes=("classes", "accuracy of each class, in float and now"),
            flips=("flips", "the examples that broke, and those that were repaired"),
        ),
        "budget": desk.budget,
    }


def _ranges(params: QuantizeParams, layers: list[str]) -> dict[str, widgets.ValueWidget]:
    """Return what chooses which weights share a scale, and where its range ends."""
    rules = [(rule.label, name) for name, rule in RULES_BY_NAME.items()]
    return {
        "granularity": toggles(
            params.granularity,
            tensor=("global", "one scale for all weights of a layer"),
            channel=("channel", "local: a scale for each output channel"),
            group=("group", "local: a scale for each group of weights in a channel"),
        ),
        "group_size": widgets.Dropdown(
            options=sorted({*_GROUP_SIZES, params.group_size}),
            value=params.group_size,
            description="of at most",
            tooltip="Weights in a group: as many as divide the channels of a layer",
            layout={"width": "150px"},
            **WIDE,
        ),
        "rule": _dropdown("Range", rules, params.rule, "230px"),
        "percent": _dropdown(
            "inside",
            [(f"{percent:g} %", percent) for percent in sorted({*_PERCENTS, params.percent})],
            params.percent,
            "140px",
        ),
        "clips": ClipFields(layers, params.clips),
        "rest": _dropdown("Other layers", rules[:-1], params.rest, "250px"),
    }


def _dropdown(name: str, options: list[tuple[str, Any]], value: Any, width: str) -> Any:
    return widgets.Dropdown(
        options=options, value=value, description=name, layout={"width": width}, **WIDE
    )


def _choice_slider(
    name: str, value: Any, options: tuple[Any, ...], shown: Callable[[Any], str]
) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(
        options=[(shown(option), option) for option in options],
        value=value,
        description=name,
        layout={"width": "360px"},
        **WIDE,
    )


def rows(parts: dict[str, Any], desk: Desk, buttons: Buttons) -> list[widgets.Widget]:
    """Return the rows of controls; only what counts for the chosen way is in sight."""
    more = [
        parts["activations"],
        parts["symmetric"],
        labelled("Rounding of the weights", parts["rounding"]),
    ]
    folds = widgets.Accordion([widgets.VBox(more), desk.box], titles=("More", "Layer by layer"))
    folds.observe(lambda change: desk.set_open(change["new"] == 1), names="selected_index")
    _show_what_counts(parts, folds)
    shared = [widgets.Label("Scales"), parts["granularity"], parts["group_size"]]
    ranges = [parts[name] for name in ("rule", "percent", "clips", "rest")]
    return [
        widgets.HBox([parts["num_bits"], buttons.test, buttons.stop], layout=WRAP),
        widgets.HBox([widgets.HBox(shared), widgets.HBox(ranges, layout=WRAP)], layout=WRAP),
        folds,
        widgets.HBox([parts["layer"], labelled("Show below", parts["show"])], layout=WRAP),
    ]


def _show_what_counts(parts: dict[str, Any], folds: widgets.Accordion) -> None:
    """Keep in sight what the chosen way goes by, now and after each move."""

    def update(*_: object) -> None:
        rule = parts["rule"].value
        in_sight(parts["group_size"], parts["granularity"].value == "group")
        in_sight(parts["clips"], rule == BY_HAND)
        in_sight(parts["rest"], rule == BY_HAND)
        by_percent = rule if rule != BY_HAND else parts["rest"].value
        in_sight(parts["percent"], by_percent == "percentile")
        if parts["num_bits"].value == BY_LAYER:
            folds.selected_index = 1

    for name in ("granularity", "rule", "rest", "num_bits"):
        parts[name].observe(update, names="value")
    update()

"""The controls of PruneLab: three in sight, the rest in folds."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from lwlab.labs.controls import WIDE, WRAP, in_sight, labelled, slider, toggles
from lwlab.labs.prune.criteria import CRITERIA
from lwlab.labs.prune.desk import Desk
from lwlab.labs.prune.params import PATTERNS, PruneParams

__all__ = ["Buttons", "controls", "rows"]

_SLIDERS = ("sparsity", "threshold", "deviations", "pattern")


class Buttons:
    """Fine-tune, Stop and Score on test, in a row; Stop is there while there is what to stop."""

    def __init__(self) -> None:
        self.tune = widgets.Button(
            description="Fine-tune",
            icon="play",
            tooltip="Train the weights that are left",
            layout={"width": "100px"},
        )
        self.stop = widgets.Button(
            description="Stop",
            icon="stop",
            tooltip="End the training, or the measuring, and keep what is there",
            layout={"width": "76px", "visibility": "hidden"},
        )
        self.test = widgets.Button(
            description="Score on test",
            tooltip="Once, when all choices are made",
            layout={"width": "120px"},
        )

    def show(self, *, running: bool) -> None:
        """Show Stop while something runs."""
        self.stop.layout.visibility = "visible" if running else "hidden"


def controls(params: PruneParams, weights: dict[str, Tensor], desk: Desk) -> dict[str, Any]:
    """Return the widgets of PruneLab by the field of ``PruneParams`` each one sets."""
    return {
        **_ways(params, max(float(weight.abs().max()) for weight in weights.values())),
        "layer_sparsities": desk.choices,
        "scope": toggles(
            params.scope,
            **{"global": ("global", "one ranking of all weights")},
            layer=("layer", "the same share of each layer"),
        ),
        "criterion": widgets.Dropdown(
            options=[(criterion.label, name) for name, criterion in CRITERIA.items()],
            value=params.criterion,
            description="Criterion",
            layout={"width": "250px"},
            **WIDE,
        ),
        **_tuning(params),
        "show": toggles(
            params.show,
            layers=("layers", "zeros in each layer, bytes of the file"),
            classes=("classes", "accuracy of each class, before and after"),
            flips=("flips", "the examples that broke, and those that were repaired"),
        ),
        "budget": desk.budget,
    }


def _ways(params: PruneParams, largest: float) -> dict[str, widgets.ValueWidget]:
    """Return what chooses the way to cut, and the control of each way but the desk's."""
    return {
        "by": toggles(
            params.by,
            sparsity=("sparsity", "a share of the weights, the least important first"),
            threshold=("threshold", "all weights smaller than a number"),
            deviations=("std", "all smaller than so many standard deviations of their layer"),
            n_of_m=("N of M", "all but N of every M neighbours, as sparse hardware wants it"),
            layers=("layers", "a share of its own for each layer, in the fold below"),
        ),
        "sparsity": slider("Sparsity", params.sparsity, 0.995, step=0.005, shown_as=".1%"),
        "threshold": slider(
            "Threshold", params.threshold, largest, step=largest / 400, shown_as=".4f"
        ),
        "deviations": slider("Threshold in std", params.deviations, 4, step=0.02, shown_as=".2f"),
        "pattern": widgets.Dropdown(
            options=[(pattern.replace(":", " of "), pattern) for pattern in PATTERNS],
            value=params.pattern,
            description="Keep",
            layout={"width": "160px"},
            **WIDE,
        ),
    }


def _tuning(params: PruneParams) -> dict[str, widgets.ValueWidget]:
    exponent = math.log10(params.learning_rate)
    return {
        "epochs": widgets.IntSlider(
            params.epochs, 1, max(30, params.epochs), description="Epochs", **WIDE
        ),
        "learning_rate": widgets.FloatLogSlider(
            params.learning_rate,
            min=min(-5, math.floor(exponent)),
            max=max(-1, math.ceil(exponent)),
            step=0.1,
            description="Learning rate",
            readout_format=".2g",
            **WIDE,
        ),
        "schedule": toggles(
            params.schedule,
            one_shot=("one shot", "cut, then train"),
            linear=("linear", "raise the sparsity evenly from epoch to epoch"),
            cubic=("cubic", "raise it fast at first, slowly at last"),
        ),
    }


def rows(parts: dict[str, Any], desk: Desk, buttons: Buttons) -> list[widgets.Widget]:
    """Return the rows of controls; only what counts for the chosen way is in sight."""
    hint = widgets.Label("Move the sliders of the fold below.")
    scope = labelled("Scope", parts["scope"])
    tuning = widgets.HBox([parts["epochs"], parts["learning_rate"]], layout=WRAP)
    schedule = labelled("Pruning while it trains", parts["schedule"])
    folds = widgets.Accordion(
        [widgets.VBox([scope, tuning, schedule]), desk.box],
        titles=("Scope and fine-tuning", "Layer by layer"),
    )
    folds.observe(lambda change: desk.set_open(change["new"] == 1), names="selected_index")
    _show_what_counts(parts, hint, scope, folds)
    ways = [parts[name] for name in _SLIDERS]
    return [
        widgets.HBox([widgets.Label("Prune by"), parts["by"], *ways, hint], layout=WRAP),
        widgets.HBox([parts["criterion"], buttons.tune, buttons.test, buttons.stop], layout=WRAP),
        folds,
        labelled("Show below", parts["show"]),
    ]


def _show_what_counts(
    parts: dict[str, Any], hint: widgets.Widget, scope: widgets.Widget, folds: widgets.Accordion
) -> None:
    """Keep in sight what the chosen way goes by, now and after each move."""

    def update(*_: object) -> None:
        way = parts["by"].value
        for name in _SLIDERS:
            in_sight(parts[name], name == ("pattern" if way == "n_of_m" else way))
        in_sight(hint, way == "layers")
        in_sight(scope, way == "sparsity")
        in_sight(parts["criterion"], way not in ("threshold", "deviations"))
        if way == "layers":
            folds.selected_index = 1

    parts["by"].observe(update, names="value")
    update()

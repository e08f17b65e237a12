"""How PenaltyLab looks: its controls, its figures, its headline, the code it shows."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets
from plotly.graph_objects import Figure

from lwlab import plots
from lwlab.labs.live_plot import Screen
from lwlab.units import format_percent

if TYPE_CHECKING:
    from lwlab.labs.penalty import PenaltyParams, PenaltyResult, PenaltyRun

__all__ = ["controls", "draw", "rows"]

_BARS = 41  # odd: the middle bar stands on zero
_CODE_NAMES = {
    "L2": "L2Penalty",
    "L1": "L1Penalty",
    "group lasso": "GroupLassoPenalty",
    "BatchNorm scales": "BatchNormScalePenalty",
}


def controls(params: PenaltyParams, choices: list[str]) -> dict[str, widgets.ValueWidget]:
    """Return the widgets of PenaltyLab by the field of ``PenaltyParams`` each one sets."""
    wide = {"style": {"description_width": "initial"}}
    exponent = math.log10(params.strength)
    return {
        "strength": widgets.FloatLogSlider(
            params.strength,
            min=min(-7, math.floor(exponent)),
            max=max(-1, math.ceil(exponent)),
            step=0.1,
            description="Strength",
            readout_format=".1e",
            continuous_update=False,
            layout={"width": "340px"},
            **wide,
        ),
        "epochs": widgets.IntSlider(
            params.epochs,
            1,
            max(40, params.epochs),
            description="Epochs",
            continuous_update=False,
            **wide,
        ),
        "beside": widgets.Dropdown(
            options=choices, value=params.beside, description="Beside L1 and L2", **wide
        ),
        "seed": widgets.BoundedIntText(params.seed, 0, 2**31 - 1, description="Seed", **wide),
    }


def rows(parts: dict[str, widgets.ValueWidget]) -> list[widgets.Widget]:
    """Return three controls in a row, and the seed in a fold."""
    shown = [parts[name] for name in ("strength", "epochs", "beside")]
    fold = widgets.Accordion([parts["seed"]], titles=("More settings",))
    return [widgets.HBox(shown, layout={"flex_flow": "row wrap"}), fold]


def draw(params: PenaltyParams, result: PenaltyResult, model_name: str) -> Screen:
    """Return the screen of ``result``: three histograms of one scale, and the curves of all."""
    shown = [params.beside, "L2", "L1"]
    # The ghost's largest weight sets the scale: a penalty only makes weights smaller than that.
    limit = max(float(result.runs["no penalty"].weights.abs().max()), 1e-6)
    histograms = [_histogram(name, result.runs[name], limit) for name in shown]
    curves = {name: run.curve for name, run in result.runs.items()}
    figure = plots.accuracy_against_sparsity(curves, title="Then cut by magnitude")
    return Screen((*histograms, figure), headline=_headline(result), code=_code(params, model_name))


def _histogram(name: str, run: PenaltyRun, limit: float) -> Figure:
    bins = plots.bin_weights(run.weights, _BARS, limit=limit)
    share = format_percent(run.near_zero)
    return plots.weight_histogram(bins, title=f"{name}: {share} within 0.001 of zero")


def _headline(result: PenaltyResult) -> str:
    cells = "".join(
        f"<th>{escape(name)}</th><td>"
        + ("..." if run.accuracy is None else f"<strong>{format_percent(run.accuracy)}</strong>")
        + "</td>"
        for name, run in result.runs.items()
    )
    return f"<table><tr><th>right on validation, nothing cut yet:</th>{cells}</tr></table>"


def _code(params: PenaltyParams, model_name: str) -> str:
    penalty = _CODE_NAMES.get(params.beside, "L1Penalty")
    return (
        "from lwlab import measure, prune\nfrom lwlab.train import fit\n\n"
        f"penalty = prune.{penalty}({params.strength:g})\n"
        f"# model: a fresh {model_name}; dataset: the one this lab was given\n"
        f"for record in fit(model, dataset, epochs={params.epochs}, seed={params.seed}, "
        f"penalty=penalty):\n"
        "    print(record.epoch, record.loss, record.validation_accuracy)\n"
        "prune.mask_model_(model, sparsity=0.9)\n"
        "print(measure.accuracy(model, dataset.validation))"
    )

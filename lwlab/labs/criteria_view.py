"""How CriteriaLab looks: its controls, its figures, its table, the code it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ipywidgets as widgets

from lwlab import plots, prune
from lwlab.labs.live_plot import Screen
from lwlab.units import format_percent

if TYPE_CHECKING:
    from lwlab.labs.criteria import CriteriaParams, CriteriaResult

__all__ = ["controls", "draw", "rows"]

_CODE = {"channels": "prune.CHANNEL_CRITERIA", "weights": "prune.WEIGHT_CRITERIA"}


def controls(params: CriteriaParams) -> dict[str, widgets.ValueWidget]:
    """Return the widgets of CriteriaLab by the field of ``CriteriaParams`` each one sets."""
    wide = {"style": {"description_width": "initial"}}
    return {
        "sparsity": widgets.FloatSlider(
            params.sparsity,
            min=0,
            max=max(0.98, params.sparsity),
            step=0.01,
            description="Cut of each layer",
            readout_format=".0%",
            layout={"width": "400px"},
            **wide,
        ),
        "cut": widgets.ToggleButtons(
            options=[("channels", "channels"), ("weights", "weights")],
            value=params.cut,
            tooltips=["whole channels", "single weights"],
            style={"button_width": "84px"},
        ),
        "recover_epochs": widgets.IntSlider(
            params.recover_epochs,
            0,
            max(5, params.recover_epochs),
            description="Fine-tuning (epochs)",
            continuous_update=False,
            **wide,
        ),
    }


def rows(parts: dict[str, widgets.ValueWidget]) -> list[widgets.Widget]:
    """Return the controls in one row, which wraps on a narrow page."""
    row = [parts["sparsity"], parts["cut"], parts["recover_epochs"]]
    return [widgets.HBox(row, layout={"flex_flow": "row wrap"})]


def draw(
    params: CriteriaParams,
    result: CriteriaResult,
    history: Sequence[tuple[CriteriaParams, CriteriaResult]],
) -> Screen:
    """Return the screen of ``result``; ``history`` gives the curves of what was tried before."""
    tried = _tried(params, result, history)
    as_cut, tuned = plots.criteria_curves(
        tried, baseline=result.baseline, title="All cuts tried so far"
    )
    figures = (
        plots.criteria_strip(result.rows, criteria=result.criteria, baseline=result.baseline),
        tuned if params.recover_epochs else as_cut,
    )
    whole = f"whole networks: {format_percent(result.baseline)} right on validation, mean"
    return Screen(figures, whole, _table(result), _code(params))


def _tried(
    params: CriteriaParams,
    result: CriteriaResult,
    history: Sequence[tuple[CriteriaParams, CriteriaResult]],
) -> list[prune.ComparisonRow]:
    """Return the rows of all whole results with this kind of cut and as much fine-tuning."""
    kind = (params.cut, params.recover_epochs)
    tried = {p.sparsity: r for p, r in history if (p.cut, p.recover_epochs) == kind}
    if _is_whole(result):
        tried[params.sparsity] = result
    return [row for one in tried.values() for row in one.rows]


def _table(result: CriteriaResult) -> str:
    """Return the table of differences; empty as long as networks are missing."""
    return prune.summarize(result.rows)._repr_html_() if _is_whole(result) else ""


def _is_whole(result: CriteriaResult) -> bool:
    networks = {row.seed for row in result.rows}
    return len(result.rows) == len(networks) * len(result.criteria)


def _code(params: CriteriaParams) -> str:
    return (
        "from lwlab import prune\n\n"
        "# models: the trained networks of this lab; dataset: the one it was given\n"
        f"rows = list(prune.compare_criteria(models, dataset, {_CODE[params.cut]},\n"
        f"                                   sparsities=[{params.sparsity!r}],\n"
        f"                                   recover_epochs={params.recover_epochs}))\n"
        "print(prune.summarize(rows))"
    )

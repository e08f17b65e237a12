"""How TrainLab looks: its controls, its headline, the code it shows. No state, no mathematics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from torch import nn

from lwlab.labs.quantizing_code import preparation
from lwlab.train import Record
from lwlab.units import format_duration, format_percent

if TYPE_CHECKING:
    from lwlab.labs.train import TrainParams, TrainResult

__all__ = [
    "RUN_BEFORE",
    "button",
    "code",
    "controls",
    "given_ghost",
    "headline",
    "rows",
    "time_left",
]

RUN_BEFORE = "before"  # what the legend calls the run that the newest one took the place of


def controls(params: TrainParams) -> dict[str, widgets.ValueWidget]:
    """Return the widgets of TrainLab by the field of ``TrainParams`` each one sets."""
    wide = {"style": {"description_width": "initial"}}
    return {
        "epochs": widgets.IntSlider(
            params.epochs, 1, max(50, params.epochs), description="Epochs", **wide
        ),
        "learning_rate": widgets.FloatLogSlider(
            params.learning_rate,
            min=min(-5, math.floor(math.log10(params.learning_rate))),
            max=max(0, math.ceil(math.log10(params.learning_rate))),
            step=0.1,
            description="Learning rate",
            readout_format=".2g",
            **wide,
        ),
        "batch_size": widgets.BoundedIntText(
            params.batch_size, 1, max(4096, params.batch_size), description="Batch size", **wide
        ),
        "seed": widgets.BoundedIntText(params.seed, 0, 2**31 - 1, description="Seed", **wide),
    }


def rows(
    controls: Mapping[str, widgets.Widget], buttons: Sequence[widgets.Button]
) -> list[widgets.Widget]:
    """Return what stands above the curves: controls with the buttons, and the rest in a fold."""
    rest = widgets.HBox([controls["batch_size"], controls["seed"]])
    return [
        widgets.HBox([controls["epochs"], controls["learning_rate"], widgets.HBox(buttons)]),
        widgets.Accordion([rest], titles=("More settings",)),
    ]


def button(text: str, icon: str, style: str) -> widgets.Button:
    """Return a button of the row of three."""
    return widgets.Button(
        description=text, icon=icon, button_style=style, layout={"width": "100px"}
    )


def time_left(record: Record) -> str:
    """Return one sentence about the time left, from the pace so far."""
    left = record.seconds / record.step * (record.total_steps - record.step)
    return f"Training: epoch {record.epoch}, about {format_duration(left)} left."


def headline(params: TrainParams, result: TrainResult) -> str:
    """Return HTML: the validation accuracy, a progress bar, where the training stands."""
    if not result.records:
        return "Press <b>Start</b> to train, or run the next cell."
    last = result.records[-1]
    scored = result.validation_accuracy
    accuracy = "not scored yet" if scored is None else format_percent(scored)
    return (
        f"<strong>{accuracy}</strong> of the validation split right &nbsp; "
        f'<progress value="{last.step}" max="{last.total_steps}" aria-label="progress"></progress> '
        f"epoch {last.epoch} of {params.epochs}, {result.state}, "
        f"{format_duration(last.seconds)}"
    )


def code(model: nn.Module, params: TrainParams) -> str:
    """Return the lines of Python that repeat this training."""
    imports, lines = preparation(model)
    name = type(model).__name__.removeprefix("Parametrized")
    rate = f"learning_rate={params.learning_rate:g}"
    start = f"# model: {'your trained' if lines else 'a fresh'} {name}"
    return "\n".join(
        [
            *imports,
            "from lwlab.train import fit",
            "",
            f"{start}; dataset: the one this lab was given",
            *lines,
            f"for record in fit(model, dataset, epochs={params.epochs}, {rate},",
            f"                  batch_size={params.batch_size}, seed={params.seed}):",
            "    print(record.epoch, record.loss, record.validation_accuracy)",
        ]
    )


def given_ghost(ghost: Any, name: Any) -> dict[str, Sequence[Record]]:
    """Return the records of a training by the name that a legend gives them; {} for None.

    Raises:
        TypeError: ``ghost`` is no sequence of records, or ``name`` no text.
        ValueError: there are no records, or ``name`` is that of the run before.
    """
    if ghost is None:
        return {}
    listed = isinstance(ghost, Sequence)
    if not listed or not all(isinstance(record, Record) for record in ghost):
        raise TypeError(
            f"ghost must be the records of a training, got {type(ghost).__name__}. Try "
            f"list(fit(...)) or lab.result.records."
        )
    if not ghost:
        raise ValueError(
            "ghost must hold at least one record, got none. Leave it out for no ghost."
        )
    if not isinstance(name, str):
        raise TypeError(f"ghost_name must be a text, got {name!r}.")
    if name == RUN_BEFORE:
        raise ValueError(f"ghost_name must not be {name!r}, which is the run before. Try 'float'.")
    return {name: tuple(ghost)}

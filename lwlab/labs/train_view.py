"""How TrainLab looks: its controls, its headline, the code it shows. No state, no mathematics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import ipywidgets as widgets
from torch import nn

from lwlab.train import Record
from lwlab.units import format_duration, format_percent

if TYPE_CHECKING:
    from lwlab.labs.train import TrainParams, TrainResult

__all__ = ["button", "code", "controls", "headline", "time_left"]


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
    name = type(model).__name__
    return (
        "from lwlab.train import fit\n\n"
        f"# model: a fresh {name}; dataset: the one this lab was given\n"
        f"for record in fit(model, dataset, epochs={params.epochs}, "
        f"learning_rate={params.learning_rate:g},\n"
        f"                  batch_size={params.batch_size}, seed={params.seed}):\n"
        "    print(record.epoch, record.loss, record.validation_accuracy)"
    )

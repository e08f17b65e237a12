"""The controls of DistillLab: what is seen in one row, what is trained in the next."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets as widgets

from lwlab.labs.controls import WIDE, WRAP, labelled, slider, toggles
from lwlab.labs.distill.params import CONTROLS, DistillParams
from lwlab.labs.held_lab import held_button, show_held

__all__ = ["Buttons", "controls", "rows"]

_LARGEST_SEED = 2**31 - 1
_LOSSES = {
    "kl": "kl, softened answers",
    "mse": "mse, logits",
    "dkd": "dkd, decoupled",
    "dist": "dist, correlations",
}


class Buttons:
    """Start, Pause and Stop of the training; Previous and Next of the images."""

    def __init__(self) -> None:
        self.start = held_button("Start", "play", "Train three students at once", "success")
        self.pause = held_button("Pause", "pause", "Hold all three at the same step")
        self.stop = held_button("Stop", "stop", "End the training, and keep what is there")
        self.previous = held_button("Previous", "arrow-left", "The image before")
        self.next = held_button("Next", "arrow-right", "The next image")

    def show(self, state: str) -> None:
        """Show what can be pressed while a race is ``state``; empty where there is none."""
        show_held(self.pause, self.stop, state)


def controls(params: DistillParams, num_examples: int) -> dict[str, Any]:
    """Return the widgets of DistillLab by the field of ``DistillParams`` each one sets."""
    return {
        "temperature": widgets.FloatLogSlider(
            params.temperature,
            base=2,
            min=min(-1, math.floor(math.log2(params.temperature))),
            max=max(5, math.ceil(math.log2(params.temperature))),
            step=0.125,
            description="Temperature",
            readout_format=".3g",
            layout={"width": "420px"},
            **WIDE,
        ),
        "order": toggles(
            params.order,
            **{
                "hesitant": ("hesitant", "first where the teacher's two best classes are nearest"),
                "as they come": ("all", "in the order of the validation split"),
            },
        ),
        "example": widgets.BoundedIntText(
            params.example, 0, num_examples - 1, layout={"width": "80px"}
        ),
        **_training(params),
    }


def _training(params: DistillParams) -> dict[str, Any]:
    exponent = math.log10(params.learning_rate)
    return {
        "kind": _menu("Loss", params.kind, [(text, kind) for kind, text in _LOSSES.items()]),
        "alpha": slider("Alpha", params.alpha, 1.0, step=0.05, shown_as=".2f"),
        "control": _menu("Control", params.control, [(name, name) for name in CONTROLS]),
        "epochs": widgets.IntSlider(
            params.epochs, 1, max(50, params.epochs), description="Epochs", **WIDE
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
        "seed": widgets.BoundedIntText(
            params.seed, 0, _LARGEST_SEED, description="Seed", layout={"width": "120px"}, **WIDE
        ),
    }


def _menu(name: str, value: str, options: list[tuple[str, str]]) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=options, value=value, description=name, layout={"width": "220px"}, **WIDE
    )


def rows(parts: dict[str, Any], buttons: Buttons) -> list[widgets.Widget]:
    """Return the rows of controls: what is seen, what is trained, and a fold for the rest."""
    parts["alpha"].layout.width = "300px"
    images = widgets.HBox([buttons.previous, parts["example"], buttons.next])
    order = labelled("Images", parts["order"])
    losses = [parts[name] for name in ("kind", "alpha", "control")]
    start = widgets.HBox([buttons.start, buttons.pause, buttons.stop])
    rest = widgets.HBox([parts["epochs"], parts["learning_rate"]], layout=WRAP)
    return [
        widgets.HBox([parts["temperature"], order, images], layout=WRAP),
        widgets.HBox(losses, layout=WRAP),
        widgets.HBox([start, parts["seed"]], layout=WRAP),
        widgets.Accordion([rest], titles=("Epochs and learning rate",)),
    ]

"""The controls of PipelineLab: the blocks, the seed, and the buttons of a run."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lwlab.labs.controls import WIDE, WRAP
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.labs.pipeline.step_list import StepList

__all__ = ["Buttons", "controls", "rows"]

_LARGEST_SEED = 2**31 - 1


class Buttons:
    """Run, Pause and Stop."""

    def __init__(self) -> None:
        self.run = _button(
            "Run", "play", "Carry out the steps from the left to the right", "success"
        )
        self.pause = _button("Pause", "pause", "Hold the run between two batches")
        self.stop = _button("Stop", "stop", "End the run; the steps that have ended stay")

    def show(self, state: str, *, fault: str, locked: bool) -> None:
        """Show what can be pressed while a run is ``state``; empty where there is none."""
        active = state in ("running", "paused")
        self.run.disabled = bool(fault) or locked
        self.run.tooltip = fault or "Carry out the steps from the left to the right"
        self.pause.disabled = self.stop.disabled = not active
        self.pause.description = "Go on" if state == "paused" else "Pause"
        self.pause.icon = "play" if state == "paused" else "pause"


def _button(text: str, icon: str, tooltip: str, style: str = "") -> widgets.Button:
    return widgets.Button(
        description=text,
        icon=icon,
        tooltip=tooltip,
        button_style=style,
        layout={"width": "96px"},
    )


def controls(params: PipelineParams) -> dict[str, Any]:
    """Return the widgets of PipelineLab by the field of ``PipelineParams`` each one sets."""
    return {
        "steps": StepList(params.steps),
        "seed": widgets.BoundedIntText(
            params.seed, 0, _LARGEST_SEED, description="Seed", layout={"width": "120px"}, **WIDE
        ),
    }


def rows(parts: dict[str, Any], buttons: Buttons) -> list[widgets.Widget]:
    """Return the rows of controls."""
    pressed = widgets.HBox([buttons.run, buttons.pause, buttons.stop])
    return [parts["steps"], widgets.HBox([pressed, parts["seed"]], layout=WRAP)]

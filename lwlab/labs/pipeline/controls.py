"""The controls of PipelineLab: the blocks, the seed, and the buttons of a run."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lwlab.labs.controls import WIDE, WRAP
from lwlab.labs.held_lab import held_button, show_held
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.labs.pipeline.step_list import StepList

__all__ = ["Buttons", "controls", "rows"]

_LARGEST_SEED = 2**31 - 1


class Buttons:
    """Run, Pause and Stop."""

    def __init__(self) -> None:
        self.run = held_button(
            "Run", "play", "Carry out the steps from the left to the right", "success"
        )
        self.pause = held_button("Pause", "pause", "Hold the run between two batches")
        self.stop = held_button("Stop", "stop", "End the run; the steps that have ended stay")

    def show(self, state: str, *, fault: str, locked: bool) -> None:
        """Show what can be pressed while a run is ``state``; empty where there is none."""
        self.run.disabled = bool(fault) or locked
        self.run.tooltip = fault or "Carry out the steps from the left to the right"
        show_held(self.pause, self.stop, state)


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

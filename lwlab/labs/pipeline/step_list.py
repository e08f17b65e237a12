"""StepList: the steps of a pipeline as a row of blocks that are dragged into an order.

The page sends whole lists of steps; what is wrong with one is said under the blocks at once. The
drawing is in ``step_list.js``; this file only says what is on screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from lwlab.labs.pipeline.forms import entry_of, kinds, step_of
from lwlab.labs.pipeline.params import fault_in
from lwlab.pipeline import Step
from lwlab.pipeline.steps import MOST_STEPS

__all__ = ["StepList"]

_HERE = Path(__file__).parent


class StepList(anywidget.AnyWidget):
    """Blocks to drag, to move by keys, to add and to take away, and a form for the chosen one.

    Args:
        steps: the first ones.

    Attributes:
        steps: what stands in the blocks, as dicts; a page sets it.
        value: the same as steps, as long as each of them can be made; setting it moves the blocks.
        fault: why they cannot be run, in one sentence; empty where they can.
        selected: which block the form is for, from 0.
        disabled: whether anything can be moved.
    """

    _esm = _HERE / "step_list.js"
    _css = _HERE / "step_list.css"

    steps = traitlets.List().tag(sync=True)
    texts = traitlets.List().tag(sync=True)
    kinds = traitlets.Dict().tag(sync=True)
    fault = traitlets.Unicode().tag(sync=True)
    bad = traitlets.Int(-1).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    value = traitlets.Tuple()

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(kinds=kinds())
        self.value = tuple(steps)

    @traitlets.observe("value")
    def _show_value(self, _change: Any) -> None:
        entries = [entry_of(step) for step in self.value]
        if _made(self.steps) != self.value:
            with self.hold_sync():
                self.steps = entries
                self.selected = max(0, min(self.selected, len(entries) - 1))

    @traitlets.observe("steps")
    def _take_steps(self, _change: Any) -> None:
        steps, texts, first_bad, fault = [], [], -1, ""
        for number, entry in enumerate(self.steps[: MOST_STEPS + 1]):
            try:
                steps.append(step_of(entry))
                texts.append(steps[-1].describe())
            except (TypeError, ValueError) as error:
                texts.append("cannot be made")
                if not fault:
                    first_bad, fault = number, f"Step {number + 1}: {error}"
        if not fault:
            first_bad, fault = fault_in(tuple(steps))
        with self.hold_sync():
            self.texts, self.bad, self.fault = texts, first_bad, fault
        if len(steps) == len(self.steps):
            self.value = tuple(steps)

    def __repr__(self) -> str:
        """A fixed text, so that saved notebooks do not differ from run to run."""
        return f"StepList({len(self.steps)} steps)"


def _made(entries: Sequence[Any]) -> tuple[Step, ...] | None:
    try:
        return tuple(step_of(entry) for entry in entries)
    except (TypeError, ValueError):
        return None

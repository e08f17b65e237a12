"""CodingChoices: a box to tick for each family of codings, in three groups; one value for all."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import traitlets

from lwlab.labs.controls import WRAP
from lwlab.labs.pack.params import LADDER

__all__ = ["GROUPS", "CodingChoices"]

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Values": {
        "half": ("half", "two bytes an element, where no bit is lost"),
        "palette": ("palette", "a table of the distinct elements, and an index for each"),
        "scaled": ("scales", "whole numbers, and a scale for each row"),
    },
    "Positions": {
        "bitmask": ("bitmask", "one bit an element says whether it is zero"),
        "gaps": ("gaps", "the distances between the elements that are not zero"),
        "mask": ("coded mask", "the bits of the mask, entropy-coded by row and column"),
    },
    "Symbols": {
        "huffman": ("Huffman", "frequent numbers in few bits, rare ones in many"),
        "range": ("range coder", "the same down to fractions of a bit, without a table"),
    },
}
"""Text and tooltip of each family, by what it saves at."""


class CodingChoices(widgets.HBox):
    """Boxes to tick; what is ticked is in ``value``.

    Args:
        chosen: the families that are ticked first.

    Attributes:
        value: names of the families that are ticked, in the order of the ladder.
        disabled: whether the boxes can be ticked.
        boxes: the boxes by family.
    """

    value = traitlets.Tuple()
    disabled = traitlets.Bool(False)

    def __init__(self, chosen: tuple[str, ...]) -> None:
        self._moving = False
        self.boxes: dict[str, widgets.Checkbox] = {}
        super().__init__([self._group(name) for name in GROUPS], layout=WRAP)
        self.value = chosen
        for box in self.boxes.values():
            box.observe(self._on_box, names="value")

    def _group(self, name: str) -> widgets.HBox:
        boxes = {family: _box(*texts) for family, texts in GROUPS[name].items()}
        self.boxes |= boxes
        label = widgets.Label(name, layout={"width": "64px"})
        return widgets.HBox([label, *boxes.values()], layout={"margin": "0 18px 0 0", **WRAP})

    def _on_box(self, _change: Any) -> None:
        if not self._moving:
            self.value = tuple(name for name in LADDER if self.boxes[name].value)

    @traitlets.observe("value")
    def _show_value(self, _change: Any) -> None:
        self._moving = True
        try:
            for name, box in self.boxes.items():
                box.value = name in self.value
        finally:
            self._moving = False

    @traitlets.observe("disabled")
    def _show_disabled(self, _change: Any) -> None:
        for box in self.boxes.values():
            box.disabled = self.disabled


def _box(text: str, tooltip: str) -> widgets.Checkbox:
    return widgets.Checkbox(
        description=text, tooltip=tooltip, indent=False, layout={"width": "104px"}
    )

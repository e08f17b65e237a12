"""ClipFields: two numbers for the ends of a range, and one dict of the ends of all layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import traitlets

from lwlab.checks import check_choice
from lwlab.labs.quantize.params import Clip

__all__ = ["ClipFields"]


class ClipFields(widgets.HBox):
    """Two fields for the layer that is shown: what a drag of the lines does, without a mouse.

    Args:
        layers: names of the layers.
        clips: first ends of some of them.

    Attributes:
        value: ``(low, high)`` by layer name; only of layers whose ends were given.
        disabled: whether the fields can be changed.

    Raises:
        ValueError: ``clips`` names a layer that does not exist.
    """

    value = traitlets.Dict()
    disabled = traitlets.Bool(False)

    def __init__(self, layers: list[str], clips: Mapping[str, Clip]) -> None:
        self._layers, self._layer = layers, layers[0]
        self._showing = False
        self.low, self.high = (
            widgets.FloatText(
                description=name,
                step=0.01,
                layout={"width": "170px"},
                style={"description_width": "initial"},
            )
            for name in ("from", "to")
        )
        super().__init__([self.low, self.high], layout={"flex_flow": "row wrap"})
        self.value = self.merged(clips)
        for field in (self.low, self.high):
            field.observe(self._on_field, names="value")

    def merged(self, clips: Mapping[str, Clip]) -> dict[str, Clip]:
        """Return ``value`` with ``clips`` in place of what they name; nothing is changed.

        Raises:
            ValueError: there is no such layer.
        """
        for name in clips:
            check_choice("layer", name, self._layers)
        return {**self.value, **{name: tuple(clip) for name, clip in clips.items()}}

    def show(self, layer: str, lines: Clip | None) -> None:
        """Let the fields stand for ``layer``, at ``lines``; None leaves the numbers alone."""
        self._layer = layer
        if lines is None:
            return
        self._showing = True
        try:
            # Four digits: enough to see, and few enough to change by hand.
            self.low.value, self.high.value = (float(f"{end:.4g}") for end in lines)
        finally:
            self._showing = False

    def _on_field(self, _change: Any) -> None:
        if not self._showing:
            self.value = {**self.value, self._layer: (self.low.value, self.high.value)}

    @traitlets.observe("disabled")
    def _show_disabled(self, _change: Any) -> None:
        self.low.disabled = self.high.disabled = self.disabled

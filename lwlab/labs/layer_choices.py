"""LayerChoices: a slider for each layer, and one dict of all their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from lwlab.checks import check_choice
from lwlab.plots.template import shorten

__all__ = ["LayerChoices"]

_LONGEST_LAYER = 28


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


class LayerChoices(widgets.VBox):
    """One slider a layer, under each other; each stands at one of ``options``.

    Args:
        layers: names of the layers.
        options: values from left to right; all sliders start at the first one.
        what: what is chosen, for the sentence about a value that is none of them.
        shown: turns an option into what stands beside its slider.

    Attributes:
        value: option by layer name; setting it moves the sliders.
        disabled: whether the sliders can be moved.
    """

    value = traitlets.Dict()
    disabled = traitlets.Bool(False)

    def __init__(
        self,
        layers: Sequence[str],
        options: Sequence[Any],
        *,
        what: str = "sparsity",
        shown: Callable[[Any], str] = _percent,
    ) -> None:
        labels = [(shown(option), option) for option in options]
        self._what = what
        self.sliders = {
            name: widgets.SelectionSlider(
                options=labels,
                description=shorten(name, _LONGEST_LAYER),
                tooltip=name,
                layout={"width": "460px"},
                style={"description_width": "180px"},
            )
            for name in layers
        }
        super().__init__(list(self.sliders.values()), value=dict.fromkeys(layers, options[0]))
        for slider in self.sliders.values():
            slider.observe(self._on_slider, names="value")

    def merged(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``value`` with ``choices`` in place of what they name; nothing is moved.

        Raises:
            ValueError: there is no such layer, or no such option.
        """
        for name, choice in choices.items():
            check_choice("layer", name, self.sliders)
            allowed = [option for _, option in self.sliders[name].options]
            if choice not in allowed:
                listed = ", ".join(_plain(option) for option in allowed)
                raise ValueError(f"{self._what} must be one of {listed}, got {choice!r}.")
        return {**self.value, **choices}

    def _on_slider(self, _change: Any) -> None:
        # While `value` moves several sliders, those that still wait must not write over it.
        if not self._moving:
            self.value = {name: slider.value for name, slider in self.sliders.items()}

    _moving = False

    @traitlets.observe("value")
    def _show_value(self, _change: Any) -> None:
        self._moving = True
        try:
            for name, choice in self.value.items():
                self.sliders[name].value = choice
        finally:
            self._moving = False

    @traitlets.observe("disabled")
    def _show_disabled(self, _change: Any) -> None:
        for slider in self.sliders.values():
            slider.disabled = self.disabled


def _plain(option: Any) -> str:
    return repr(option) if isinstance(option, str) else f"{option:g}"

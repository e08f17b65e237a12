"""Small things about controls that every lab needs."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

__all__ = [
    "WIDE",
    "WRAP",
    "check_reachable",
    "css_class",
    "in_sight",
    "labelled",
    "slider",
    "toggles",
]

WIDE = {"style": {"description_width": "initial"}}
"""Room for the whole name beside a control."""

WRAP = {"flex_flow": "row wrap"}
"""Layout of a row that a narrow page breaks."""


def check_reachable(name: str, control: widgets.Widget, value: Any) -> None:
    """Check that a control can stand at ``value``: a slider would clamp it without a word.

    Raises:
        ValueError: the value lies outside the control's range.
    """
    low, high = getattr(control, "min", None), getattr(control, "max", None)
    if low is None or high is None:
        return
    if isinstance(control, widgets.FloatLogSlider):
        low, high = control.base**low, control.base**high
    if not low <= value <= high:
        raise ValueError(
            f"{name} must be from {low:g} to {high:g} in this lab, got {value!r}. "
            f"Give the first value to the lab itself to make its slider reach further."
        )


def css_class(name: str) -> str:
    """Return ``lwlab-prune-lab`` for ``PruneLab``: a handle for style sheets and browser tests."""
    return "lwlab" + "".join(f"-{c.lower()}" if c.isupper() else c for c in name)


def toggles(value: str, **choices: tuple[str, str]) -> widgets.ToggleButtons:
    """Return buttons of which one is down; a choice is (text, tooltip) by its value."""
    return widgets.ToggleButtons(
        options=[(text, name) for name, (text, _) in choices.items()],
        value=value,
        tooltips=[tooltip for _, tooltip in choices.values()],
        style={"button_width": "84px"},
    )


def slider(
    name: str, value: float, top: float, *, step: float, shown_as: str
) -> widgets.FloatSlider:
    """Return a slider from 0 to ``top``, or to its first value where that lies beyond."""
    return widgets.FloatSlider(
        value,
        min=0,
        max=max(top, value),
        step=step,
        description=name,
        readout_format=shown_as,
        layout={"width": "420px"},
        **WIDE,
    )


def labelled(text: str, control: widgets.Widget) -> widgets.HBox:
    """Return a control behind a word or two."""
    return widgets.HBox([widgets.Label(text), control], layout=WRAP)


def in_sight(widget: widgets.Widget, shown: bool) -> None:
    """Show a widget, or take it and its room away."""
    widget.layout.display = None if shown else "none"

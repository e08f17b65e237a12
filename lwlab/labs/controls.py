"""Small things about controls that every lab needs."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

__all__ = ["check_reachable", "css_class"]


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

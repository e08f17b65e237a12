"""Click: what a page says about a click on a figure, checked: it is a stranger's input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Click", "Scalar", "read_click"]

Scalar = str | int | float | bool | None

_LONGEST_TEXT = 1000
_MOST_VALUES = 100


@dataclass(frozen=True)
class Click:
    """A click on a point of a figure.

    Attributes:
        figure: which figure of the screen, from 0.
        x, y: the point, as the figure's axes count: a number or the name of a category.
        custom: the point's ``customdata``: a value, a tuple of values, or None.
    """

    figure: int
    x: Scalar
    y: Scalar
    custom: Scalar | tuple[Scalar, ...] = None


def read_click(message: Any, count: int) -> Click | None:
    """Return the click that a message from a page tells of; None if it is anything else.

    Args:
        message: what came, of whatever kind.
        count: how many figures there are to click on.
    """
    if not isinstance(message, dict) or message.get("kind") != "click":
        return None
    figure, x, y = message.get("figure"), message.get("x"), message.get("y")
    custom = message.get("customdata")
    if isinstance(custom, list):
        custom = tuple(custom)
    values = custom if isinstance(custom, tuple) else (custom,)
    if type(figure) is not int or not 0 <= figure < count or len(values) > _MOST_VALUES:
        return None
    if x is None or y is None or not all(map(_is_scalar, (x, y, *values))):
        return None
    return Click(figure, x, y, custom)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    if isinstance(value, int | float):
        return math.isfinite(value)
    return value is None

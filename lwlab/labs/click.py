"""Click and Drag: what a page says about a figure, checked: it is a stranger's input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Click", "Drag", "Scalar", "read_click", "read_drag"]

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


@dataclass(frozen=True)
class Drag:
    """An upright line of a figure was dragged to another place.

    Attributes:
        figure: which figure of the screen, from 0.
        shape: which shape of its layout, from 0.
        x: where the line is now, as the figure's axis counts.
    """

    figure: int
    shape: int
    x: float


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


def read_drag(message: Any, shapes: list[int]) -> Drag | None:
    """Return the drag that a message from a page tells of; None if it is anything else.

    Args:
        message: what came, of whatever kind.
        shapes: how many shapes each figure has.
    """
    if not isinstance(message, dict) or message.get("kind") != "drag":
        return None
    figure, shape, x = message.get("figure"), message.get("shape"), message.get("x")
    if type(figure) is not int or not 0 <= figure < len(shapes):
        return None
    if type(shape) is not int or not 0 <= shape < shapes[figure]:
        return None
    if type(x) not in (int, float) or not math.isfinite(x):
        return None
    return Drag(figure, shape, float(x))


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    if isinstance(value, int | float):
        return math.isfinite(value)
    return value is None

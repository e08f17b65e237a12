"""What a prediction can be about: a number between two ends, or one of a few answers.

A scale knows how to check a guess and a measured value, how to print them, and how to say and draw
the gap between them. No widgets here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from lwlab.checks import check_choice, check_number
from lwlab.exercises.compare import as_number, described
from lwlab.units import format_percent, format_points

__all__ = ["ChoiceScale", "NumberScale", "Scale"]


class Scale(Protocol):
    """What ``predict`` needs to know about an answer."""

    def check_guess(self, value: Any) -> Any:
        """Return ``value`` as a guess; raise a sentence if it is none."""

    def check_actual(self, value: Any) -> Any:
        """Return ``value`` as a measured value; raise a sentence if it is none."""

    def text(self, value: Any) -> str:
        """Return a value in words."""

    def verdict(self, guess: Any, actual: Any) -> str:
        """Return the gap between a guess and the measured value in a sentence."""

    def picture(self, guess: Any, actual: Any) -> str:
        """Return the gap as HTML, or an empty text; ``guess`` is None if it was skipped."""


@dataclass(frozen=True)
class NumberScale:
    """A number from ``low`` to ``high``.

    Args:
        low, high: the ends of the slider; a measured value may lie outside.
        unit: printed behind the value. ``"%"`` prints a fraction in percent: 0.9 is 90.0 %.
        step: of the slider; None for a hundredth of its length.

    Raises:
        TypeError, ValueError: an end is no number, they are in the wrong order, or the step is not
            above 0.
    """

    low: float = 0.0
    high: float = 1.0
    unit: str = "%"
    step: float | None = None

    def __post_init__(self) -> None:
        low = check_number("low", self.low)
        high = check_number("high", self.high)
        if high <= low:
            raise ValueError(f"high must be above low = {low:g}, got {high:g}.")
        if self.step is not None:
            check_number("step", self.step, above=0)

    @property
    def spacing(self) -> float:
        """Distance of two positions of the slider."""
        return (self.high - self.low) / 100 if self.step is None else self.step

    def check_guess(self, value: Any) -> float:
        """Return ``value`` as a float within the ends."""
        guess = check_number("guess", value)
        if not self.low <= guess <= self.high:
            raise ValueError(
                f"guess must be from {self.low:g} to {self.high:g}, got {guess!r}."
                f"{self._hint(guess)}"
            )
        return guess

    def _hint(self, guess: float) -> str:
        fits = self.unit == "%" and self.low <= guess / 100 <= self.high
        return f" Did you mean {guess / 100:g}?" if fits else ""

    def check_actual(self, value: Any) -> float:
        """Return ``value`` as a finite float; a tensor with one number counts."""
        number = as_number(value)
        if number is None:
            holds_number = as_number(getattr(value, "value", None)) is not None
            hint = " Try its .value." if holds_number else ""
            raise TypeError(f"actual must be a number, got {described(value)}.{hint}")
        return check_number("actual", number)

    def text(self, value: float) -> str:
        """Return the value with its unit."""
        if self.unit == "%":
            return format_percent(value)
        digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        return f"{digits} {self.unit}".rstrip()

    def verdict(self, guess: float, actual: float) -> str:
        """Return how far the guess was off; within half a step of the slider is spot on."""
        gap = guess - actual
        if abs(gap) <= self.spacing / 2 or math.isclose(guess, actual):
            return "Spot on."
        side = "high" if gap > 0 else "low"
        size = format_points(abs(gap)).lstrip("+") if self.unit == "%" else self.text(abs(gap))
        return f"The guess was {size} too {side}."

    def picture(self, guess: float | None, actual: float) -> str:
        """Return a bar from low to high with the two values marked on it."""
        there = self._place(actual)
        marks = _below(f"measured {self.text(actual)}", there)
        if guess is not None:
            here = self._place(guess)
            marks += _band(min(here, there), max(here, there))
            marks += _above(f"your guess {self.text(guess)}", here)
        return (
            f'<div aria-hidden="true" style="position:relative;height:5.4em;max-width:32em;'
            f'margin:0 0.6em;line-height:1.2"><div style="position:absolute;left:0;right:0;'
            f'top:2.3em;height:0.7em;border:1px solid currentColor;box-sizing:border-box"></div>'
            f"{marks}</div>"
        )

    def _place(self, value: float) -> float:
        """Return the place of a value on the bar in percent; what lies outside is at its end."""
        return 100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def _band(left: float, right: float) -> str:
    return (
        f'<div style="position:absolute;left:{left:.1f}%;width:{right - left:.1f}%;'
        f'top:2.3em;height:0.7em;background:currentColor;opacity:0.35"></div>'
    )


def _above(label: str, place: float) -> str:
    return _label(label, place, 0) + _pointer("\N{BLACK DOWN-POINTING TRIANGLE}", place, 1.1)


def _below(label: str, place: float) -> str:
    return _pointer("\N{BLACK UP-POINTING TRIANGLE}", place, 3.0) + _label(label, place, 4.1)


def _pointer(sign: str, place: float, top: float) -> str:
    return (
        f'<div style="position:absolute;top:{top}em;left:{place:.1f}%;'
        f'transform:translateX(-50%)">{sign}</div>'
    )


def _label(text: str, place: float, top: float) -> str:
    # Shifted by its own width in proportion, a label stays inside the bar at both ends.
    return (
        f'<div style="position:absolute;top:{top}em;left:{place:.1f}%;white-space:nowrap;'
        f'transform:translateX(-{place:.1f}%)">{escape(text)}</div>'
    )


@dataclass(frozen=True)
class ChoiceScale:
    """One of a few answers.

    Args:
        choices: at least two different texts.

    Raises:
        TypeError, ValueError: they are not.
    """

    choices: Sequence[str]

    def __post_init__(self) -> None:
        texts = not isinstance(self.choices, str) and all(isinstance(c, str) for c in self.choices)
        if not texts:
            raise TypeError(f"choices must be a list of texts, got {self.choices!r}.")
        if len(set(self.choices)) < max(2, len(self.choices)):
            raise ValueError(
                f"choices must be at least two different texts, got {list(self.choices)!r}."
            )

    def check_guess(self, value: Any) -> str:
        """Return ``value`` if it is one of the choices."""
        return check_choice("guess", value, self.choices)

    def check_actual(self, value: Any) -> str:
        """Return ``value`` if it is one of the choices."""
        return check_choice("actual", value, self.choices)

    def text(self, value: str) -> str:
        """Return the choice itself."""
        return value

    def verdict(self, guess: str, actual: str) -> str:
        """Return whether the guess was right."""
        return "The guess was right." if guess == actual else "The guess was another one."

    def picture(self, guess: str | None, actual: str) -> str:
        """Return nothing: two answers need no drawing."""
        return ""

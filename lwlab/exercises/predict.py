"""Predict before you see: a guess that opens the measured value, and the gap between the two.

    guess = predict("How accurate is the network with 90 % of its weights zeroed?")   # one cell
    guess.reveal(accuracy.value)                                                      # a later cell

The measured value stays hidden until the guess is locked in or skipped, in whatever order the cells
were run. ``LWLAB_UNLOCK=1`` in the environment (the teacher's switch) counts every guess as
answered.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets

from lwlab.checks import one_line
from lwlab.exercises.scales import ChoiceScale, NumberScale, Scale

__all__ = ["Prediction", "Reveal", "predict"]

_LOCKED = "Lock in a guess above, or skip it, to see the measured value."


def predict(
    question: str,
    *,
    low: float = 0.0,
    high: float = 1.0,
    unit: str = "%",
    step: float | None = None,
    choices: Sequence[str] | None = None,
) -> Prediction:
    """Ask for a guess: a slider from ``low`` to ``high``, or a few choices.

    Args:
        question: plain text.
        low: left end of the slider. The measured value may lie outside.
        high: right end of the slider.
        unit: printed behind the values; ``"%"`` prints fractions in percent (0.9 as 90.0 %).
        step: of the slider; None for a hundredth of its length.
        choices: at least two texts to choose from, in place of the slider.

    Raises:
        TypeError, ValueError: the question is no text, the ends are in the wrong order, or the
            choices are not at least two different texts.
    """
    if not isinstance(question, str) or not question.strip():
        raise TypeError(f"question must be a text, got {question!r}.")
    scale = NumberScale(low, high, unit, step) if choices is None else ChoiceScale(tuple(choices))
    return Prediction(question, scale)


class Prediction(widgets.VBox):
    """A question with a control, a "Lock in" and a "Skip" button. Made by ``predict``.

    Args:
        question: plain text.
        scale: what can be answered.
    """

    def __init__(self, question: str, scale: Scale) -> None:
        self._question, self._scale = question, scale
        self._state = threading.RLock()
        self._answered, self._value, self._error = False, None, None
        self._callbacks: list[Callable[[], Any]] = []
        self._reveals: list[Reveal] = []
        self.control = _control(scale)
        self.lock_button = widgets.Button(description="Lock in", tooltip="Fix this guess")
        self.skip_button = widgets.Button(description="Skip", tooltip="See the value, no guess")
        self.message = widgets.HTML()
        self.lock_button.on_click(self._on_lock)
        self.skip_button.on_click(lambda _: self.skip())
        title = widgets.HTML(f"<b>Predict:</b> {escape(question)}")
        buttons = widgets.HBox([self.lock_button, self.skip_button])
        super().__init__([title, self.control, buttons, self.message])
        if _unlocked():
            self._answered = True
            self._say("Unlocked (LWLAB_UNLOCK): the measured value shows without a guess.")

    @property
    def answered(self) -> bool:
        """Whether a guess was locked in or skipped."""
        with self._state:
            return self._answered

    @property
    def value(self) -> float | str | None:
        """The guess that was locked in; None before, and if it was skipped."""
        with self._state:
            return self._value

    @property
    def error(self) -> Exception | None:
        """What a callback of ``on_answer`` raised, or None. It is shown below the buttons, too."""
        with self._state:
            return self._error

    def set(self, value: float | str) -> None:
        """Lock in ``value``, as the control and its button would.

        Raises:
            TypeError, ValueError: it is out of range or none of the choices, or a guess is locked
                in already.
        """
        guess = self._scale.check_guess(value)
        with self._state:
            if self._value is not None:
                raise ValueError(
                    f"guess must be made once, got {self._scale.text(guess)} after "
                    f"{self._scale.text(self._value)}. Run its cell again to guess anew."
                )
            self._value = guess
        self.control.value = guess
        self._say(f"Locked in: {self._scale.text(guess)}.")
        self._finish()

    def skip(self) -> None:
        """Go on without a guess; nothing happens if there is one."""
        if not self.answered:
            self._say("Skipped.")
            self._finish()

    def on_answer(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` once a guess is locked in or skipped; now, if that has happened.

        What it raises is shown below the buttons and kept in ``error``.
        """
        with self._state:
            if not self._answered:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def reveal(self, actual: float | str, note: str = "") -> Reveal:
        """Return a widget that shows the measured value and the gap, once there is an answer.

        Args:
            actual: the measured value, a number in the unit of the guess or one of the choices.
            note: plain text below it.

        Raises:
            TypeError, ValueError: ``actual`` is no finite number, or none of the choices.
        """
        reveal = Reveal(self._scale, self._scale.check_actual(actual), note)
        with self._state:
            self._reveals.append(reveal)
            if self._answered:
                reveal.show(self._value)
        return reveal

    def _on_lock(self, _button: widgets.Button) -> None:
        if self.value is not None:
            return  # a second click, made before the first one's answer was on screen
        if self.control.value is None:
            self._say("Choose one of the answers first, or skip.")
        else:
            self.set(self.control.value)

    def _finish(self) -> None:
        with self._state:
            self._answered = True
            waiting, self._callbacks = self._callbacks, []
            for reveal in self._reveals:
                reveal.show(self._value)
        for widget in (self.control, self.lock_button, self.skip_button):
            widget.disabled = True
        for callback in waiting:
            self._call(callback)

    def _call(self, callback: Callable[[], Any]) -> None:
        try:
            callback()
        except Exception as error:  # the front end would swallow it
            with self._state:
                self._error = error
            self._say(f"What waited for this guess failed: {one_line(error)}")

    def _say(self, text: str) -> None:
        self.message.value = f'<span role="status">{escape(text)}</span>'

    def __repr__(self) -> str:
        return f"Prediction: {self._question}"


class Reveal(widgets.HTML):
    """The measured value beside the guess, hidden until there is an answer.

    Args:
        scale: of the prediction.
        actual: the measured value.
        note: plain text below it.
    """

    def __init__(self, scale: Scale, actual: float | str, note: str = "") -> None:
        self._scale, self._actual, self._note = scale, actual, note
        self._text = _LOCKED
        super().__init__(f"<i>{escape(_LOCKED)}</i>")

    @property
    def text(self) -> str:
        """What is shown, in words."""
        return self._text

    def show(self, guess: float | str | None) -> None:
        """Show the measured value and the gap to ``guess``; None says that it was skipped."""
        scale, actual = self._scale, self._actual
        if guess is None:
            self._text = f"Measured: {scale.text(actual)}. No guess was made."
        else:
            self._text = (
                f"Your guess: {scale.text(guess)}. Measured: {scale.text(actual)}. "
                f"{scale.verdict(guess, actual)}"
            )
        note = f"<div>{escape(self._note)}</div>" if self._note else ""
        words = f'<div role="status">{escape(self._text)}</div>'
        self.value = f"{words}{scale.picture(guess, actual)}{note}"

    def __repr__(self) -> str:
        return self._text


def _control(scale: Scale) -> widgets.ValueWidget:
    if isinstance(scale, ChoiceScale):
        return widgets.RadioButtons(
            options=list(scale.choices), value=None, layout=widgets.Layout(width="auto")
        )
    digits = 0 if scale.spacing >= (0.01 if scale.unit == "%" else 1) else 2
    return widgets.FloatSlider(
        value=(scale.low + scale.high) / 2,
        min=scale.low,
        max=scale.high,
        step=scale.spacing,
        description="Your guess",
        readout_format=f".{digits}%" if scale.unit == "%" else f",.{digits}f",
        layout=widgets.Layout(width="32em", max_width="100%"),
    )


def _unlocked() -> bool:
    return os.environ.get("LWLAB_UNLOCK", "") not in {"", "0"}

"""What every lab is: parameters in, a result computed, a screen drawn.

    params -> compute -> draw

A lab only connects. The mathematics lives below, in pure functions; a subclass says which controls
set which field of its ``Params``, computes a result from them (in parts, if it takes long) and
draws it. Everything else is here, once: the worker thread, stale work, errors on screen, the lock
of a prediction, driving without a browser.

``lab.params`` and ``lab.result`` are what is on screen at this moment; ``lab.error`` is what went
wrong with the newest wish, or None.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import ipywidgets as widgets

from lwlab.checks import did_you_mean, quoted_list
from lwlab.journal import Entry
from lwlab.labs.contract import Gate, Part
from lwlab.labs.controls import check_reachable, css_class
from lwlab.labs.journaling import Recorder
from lwlab.labs.live_plot import LivePlot, Screen, error_text, with_png
from lwlab.labs.machine import leave_a_core_to_the_browser
from lwlab.labs.standing import Standing
from lwlab.labs.worker import Worker

__all__ = ["Lab"]

Params = TypeVar("Params")
Result = TypeVar("Result")

# Shorter work is shown when it is done: a mark that comes and goes in a blink only flickers.
_SHOW_WORKING_AFTER_SECONDS = 0.06


class Lab(widgets.VBox, Generic[Params, Result]):
    """A row of controls over a live plot; subclasses fill in ``compute`` and ``draw``.

    Args:
        params: the first parameters, a frozen dataclass whose ``__post_init__`` checks them.
        controls: widget for each field of ``params`` that can be moved, by field name.
        rows: what is shown above the plot, in order; the controls stand somewhere in it.
        buttons: what else is locked until the prediction is made.
        after: keep the lab locked until this prediction is made or skipped.

    Attributes:
        history_length: how many results ``history`` keeps; lower where results are large.
    """

    history_length = 200

    def __init__(
        self,
        *,
        params: Params,
        controls: dict[str, widgets.ValueWidget],
        rows: list[widgets.Widget],
        buttons: Sequence[widgets.Button] = (),
        after: Gate | None = None,
    ) -> None:
        leave_a_core_to_the_browser()
        self.live = LivePlot()
        self._standing = Standing(self.live)
        self.controls = controls
        self._start_params = params
        self._params, self._result, self._error = params, None, None
        self._history: list[tuple[Params, Result]] = []
        self._state = threading.RLock()
        self._shown_once = threading.Event()
        self._silent = self._pending = False
        self._worker: Worker[Any] = Worker(self._serve, type(self).__name__)
        self._recorder = Recorder(self.journal_entries, self.live, self._state)
        super().__init__([*rows, self.live])
        self.add_class(css_class(type(self).__name__))
        for control in controls.values():
            control.observe(self._on_control, names="value")
        self._lock_behind(after, (*controls.values(), *buttons))

    def compute(self, params: Params) -> Iterator[Part[Result]]:
        """Yield estimates and, last, the whole result; runs in the worker's thread."""
        raise NotImplementedError

    def act(self, action: str, params: Params, result: Result) -> Result:
        """Return ``result`` with what a button asked for added to it."""
        raise NotImplementedError

    def draw(self, params: Params, result: Result) -> Screen:
        """Return what to show; computes nothing."""
        raise NotImplementedError

    def journal_entries(self, params: Params, result: Result) -> Sequence[Entry]:
        """Return what the journal keeps of a whole result, once it is at rest; none by default."""
        return ()

    @property
    def params(self) -> Params:
        """The parameters of the result on screen."""
        with self._state:
            return self._params

    @property
    def result(self) -> Result | None:
        """The result on screen; None before the first."""
        with self._state:
            return self._result

    @property
    def error(self) -> Exception | None:
        """Why the newest wish could not be met, or None."""
        with self._state:
            return self._error

    @property
    def history(self) -> tuple[tuple[Params, Result], ...]:
        """The newest whole results with their parameters, oldest first; see ``history_length``."""
        with self._state:
            return tuple(self._history)

    def set(self, **changes: Any) -> None:
        """Move controls by name, ``lab.set(sparsity=0.9)``, and ask for the new result once.

        Raises:
            ValueError: a name is not a control, or a value is out of range; nothing is moved.
        """
        for name in changes:
            if name not in self.controls:
                raise ValueError(
                    f"set() knows {quoted_list(self.controls)}, got {name!r}."
                    f"{did_you_mean(name, self.controls)}"
                )
        # Checked whole before anything moves: a control clamps, but a program's mistake raises.
        wanted = dataclasses.replace(self.read_controls(), **changes)
        for name, value in changes.items():
            check_reachable(name, self.controls[name], value)
        self._show_in_controls({name: getattr(wanted, name) for name in changes})
        self.moved(wanted)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the newest wish is on screen; return False if ``timeout`` came first."""
        return self._worker.wait(timeout)

    def read_controls(self) -> Params:
        """Return the parameters that the controls ask for.

        Raises:
            ValueError: the controls contradict each other.
        """
        moved = {name: control.value for name, control in self.controls.items()}
        return dataclasses.replace(self._start_params, **moved)

    def moved(self, params: Params) -> None:
        """Do what a moved control asks for: the result at ``params``."""
        self.request(params)

    def request(self, params: Params, *actions: str) -> None:
        """Record a wish and return; the worker takes the newest one."""
        self._worker.ask((params, actions))

    def compute_first(self) -> None:
        """Compute the first result and return with its first part on screen."""
        self.request(self.read_controls())
        self._shown_once.wait()

    def pressed(self, action: Callable[[], None]) -> None:
        """Do what a button asks for; ipywidgets would swallow what goes wrong, we show it."""
        try:
            action()
        except Exception as error:
            self._fail(error)

    def _on_control(self, _change: Any) -> None:
        if not self._silent:
            self.pressed(lambda: self.moved(self.read_controls()))

    def _show_in_controls(self, values: dict[str, Any]) -> None:
        self._silent = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._silent = False

    def _serve(self, wish: tuple[Params, tuple[str, ...]]) -> None:
        """Meet one wish in the worker's thread; an error lands on screen and in ``error``."""
        params, actions = wish
        self._pending = True
        slow = threading.Timer(_SHOW_WORKING_AFTER_SECONDS, self._mark_working)
        slow.start()
        try:
            for part in self.compute(params):
                if self._worker.outdated():
                    return
                slow.cancel()
                self._publish(params, part)
            for action in () if self._worker.outdated() else actions:  # not of a part of a result
                self._standing.mark("working", "Computing what the button asked for.")
                self._publish(params, Part(self.act(action, params, self.result)))
        except Exception as error:
            # Whatever it is, the learner must see it: nothing vanishes in a thread.
            self._fail(error)
        finally:
            slow.cancel()

    def _publish(self, params: Params, part: Part[Result]) -> None:
        screen = self.draw(params, part.result)
        with self._state:
            self._params, self._result, self._error = params, part.result, None
            self._pending = False
            if not part.estimate:
                self._remember(params, part.result)
                self._recorder.take(params, part.result)
            self._standing.show(screen, part.estimate)
        self._shown_once.set()

    def _remember(self, params: Params, result: Result) -> None:
        """Add a try; a button's addition to the newest one takes its place."""
        if self._history and self._history[-1][0] == params:
            self._history.pop()
        self._history = [*self._history, (params, result)][-self.history_length :]

    def _mark_working(self) -> None:
        with self._state:
            if self._pending:
                self._standing.mark("working", "Computing; shown is still the setting before.")

    def _fail(self, error: Exception) -> None:
        with self._state:
            self._error = error
            self._pending = False
            self._standing.mark("error", error_text(error))
        self._shown_once.set()

    def _lock_behind(self, gate: Gate | None, lockable: Sequence[widgets.Widget]) -> None:
        def set_locked(locked: bool) -> None:
            for widget in lockable:
                widget.disabled = locked
            self._standing.set_locked(locked)

        if gate is not None and not gate.answered:
            set_locked(True)
            gate.on_answer(lambda *_: set_locked(False))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return with_png(super()._repr_mimebundle_(**kwargs), self.live)

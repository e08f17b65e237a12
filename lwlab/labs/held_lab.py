"""HeldLab: a lab whose Start begins work that runs in the background, with Pause and Stop.

A subclass says what the work is; the buttons, ``await lab.done()`` and ``lab.run()`` are here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import ipywidgets as widgets

from lwlab.labs.base import Lab
from lwlab.labs.contract import Part
from lwlab.labs.held_work import HeldWork

__all__ = ["HeldLab", "held_button", "show_held"]

Params = TypeVar("Params")
Result = TypeVar("Result")


class HeldLab(Lab[Params, Result]):
    """A ``Lab`` with work that is started, held and stopped."""

    @property
    def held(self) -> HeldWork | None:
        """The present work, or the last; None before the first."""
        raise NotImplementedError

    def begin(self) -> Params:
        """Make new work of what the controls ask for, and return that; the old is given up."""
        raise NotImplementedError

    def parts(self, params: Params, outdated: Callable[[], bool]) -> Iterator[Part[Result]]:
        """Yield what is there at ``params``, then go on with the work."""
        raise NotImplementedError

    def outcome(self) -> Any:
        """Return what ``done`` and ``run`` return."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin anew by the present setting; work that is under way is given up.

        Raises:
            ValueError: the setting makes no sense.
        """
        self.request(self.begin())

    def pause(self) -> None:
        """Hold the work between two of its steps; called again, it goes on."""
        if self.held is None or not self.held.active:
            return
        if self.held.state == "paused":
            self.held.go_on()
        else:
            self.held.pause()
        self.request(self.read_controls())

    def stop(self) -> None:
        """End the work; what was done stays."""
        if self.held is None or not self.held.active:
            return
        self.held.stop()
        self.request(self.read_controls())

    async def done(self) -> Any:
        """Wait for the end of the work, starting it if nobody has; the buttons go on working.

        Raises:
            Exception: what stopped it; the lab shows it too.
        """
        if self.held is None:
            self.start()
        while self.held.active or not self._worker.idle():
            await asyncio.sleep(0.05)
        return self._ended()

    def run(self) -> Any:
        """Work in the calling thread; interrupting the kernel (or Ctrl-C) is Stop.

        For scripts, and for front ends such as Colab that drop what other threads send.

        Raises:
            Exception: what stopped it.
        """
        params = self.begin()
        try:
            self._run_here(params)
        except KeyboardInterrupt:
            self.held.stop()
            self._run_here(params)
        return self._ended()

    def _run_here(self, params: Params) -> None:
        for part in self.parts(params, lambda: False):
            self._publish(params, part)

    def _ended(self) -> Any:
        if self.held.error is not None:
            raise self.held.error
        return self.outcome()

    def compute(self, params: Params) -> Iterator[Part[Result]]:
        """Show what is there; then go on with the work, a picture a few times a second."""
        yield from self.parts(params, self._worker.outdated)


def held_button(text: str, icon: str, tooltip: str, style: str = "") -> widgets.Button:
    """Return a button; all of a lab are equally wide."""
    return widgets.Button(
        description=text,
        icon=icon,
        tooltip=tooltip,
        button_style=style,
        layout={"width": "96px"},
    )


def show_held(pause: widgets.Button, stop: widgets.Button, state: str) -> None:
    """Show what can be pressed while work is ``state``; empty where there is none."""
    pause.disabled = stop.disabled = state not in ("running", "paused")
    pause.description = "Go on" if state == "paused" else "Pause"
    pause.icon = "play" if state == "paused" else "pause"

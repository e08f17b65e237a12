"""How what is on screen stands to what was asked for, and whether it may be seen yet."""

from __future__ import annotations

import threading

from lwlab.labs.live_plot import LivePlot, Screen

__all__ = ["Standing"]

_LOCKED = "Make your guess above, or skip it, to open this lab."


class Standing:
    """Keeps the mark of a live plot, behind a lock while a prediction is still open.

    Whatever happens while it is locked is remembered, and shown when the lock opens: a result that
    is still an estimate is then marked as one, an error as an error.

    Args:
        live: the plot to mark.
    """

    def __init__(self, live: LivePlot) -> None:
        self._live = live
        self._state = threading.RLock()
        self._locked = False
        self._mark = ("fresh", "")

    def mark(self, kind: str, text: str = "") -> None:
        """Set the mark; see ``LivePlot.mark`` for the kinds."""
        with self._state:
            self._mark = (kind, text)
            self._put_up()

    def show(self, screen: Screen, estimate: str = "") -> None:
        """Put ``screen`` up, marked as fresh, or as an estimate with its sentence: one message."""
        with self._state, self._live.hold_sync():
            self._mark = ("estimate", estimate) if estimate else ("fresh", "")
            self._live.show(screen)
            self._put_up()

    def set_locked(self, locked: bool) -> None:
        """Hide what is on screen behind a sentence, or show it with the mark it has by now."""
        with self._state:
            self._locked = locked
            self._put_up()

    def _put_up(self) -> None:
        self._live.mark(*(("locked", _LOCKED) if self._locked else self._mark))

"""HeldWork: long work with the buttons Pause, Go on and Stop, and what state it is in.

It is ``LongWork`` with a wish that any thread may change: the work is held between two of its
steps, taken up again where it was left, or ended for good. What is done belongs to a subclass,
which fills in ``_steps``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from lwlab.labs.long_work import LongWork

__all__ = ["HeldWork"]


class HeldWork:
    """Work that can be held and stopped; ``pictures`` takes its steps.

    Attributes:
        error: what ended it, or None.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._work: LongWork[Any] = LongWork(self._steps)
        self._wish, self._changing = "run", threading.Lock()

    def _steps(self) -> Iterator[Any]:
        """Yield after each step, where the buttons are looked at."""
        raise NotImplementedError

    def pause(self) -> None:
        """Hold it between two steps, until ``go_on``."""
        self._want("pause")

    def go_on(self) -> None:
        """Take held work up again; it goes on with the next ``pictures``."""
        self._want("run")

    def stop(self) -> None:
        """End it; what was done stays."""
        self._want("stop")

    def _want(self, wish: str) -> None:
        with self._changing:
            if self._wish == "stop":
                return
            self._wish = wish
            if wish != "run":
                self._work.stop()

    @property
    def state(self) -> str:
        """``running``, ``paused``, ``stopped``, ``finished`` or ``failed``."""
        found = self._work.state
        if found == "failed" and self.error is None:
            found = "stopped"  # a keyboard interrupt, which is no fault of the work
        if found == "stopped":
            return {"pause": "paused", "run": "running", "stop": "stopped"}[self._wish]
        return found

    @property
    def active(self) -> bool:
        """Whether it is not over."""
        return self.state in ("running", "paused")

    def pictures(self, hurry: Callable[[], bool]) -> Iterator[None]:
        """Take steps until it is over or held; see ``LongWork.pictures``."""
        with self._changing:
            if self._wish == "run":
                self._work.go_on()
        try:
            for _ in self._work.pictures(hurry):
                yield
        except Exception as error:
            self.error = error
            raise

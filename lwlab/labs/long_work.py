"""LongWork: work of seconds or minutes, done in a lab's worker between its wishes.

    training = LongWork(lambda: fit(model, dataset))      # where a button is pressed
    for record in training.pictures(self._worker.outdated):     # in ``compute``
        yield Part(..., estimate="Training.")

It lives beside the wishes: a wish that makes the present one stale interrupts the work between two
steps, and the next ``compute`` goes on with it, or leaves it alone. Stop ends it for good.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["LongWork"]

Step = TypeVar("Step")

# Eight pictures a second look live; more only fill the connection to the browser.
_SECONDS_BETWEEN_PICTURES = 0.125


class LongWork(Generic[Step]):
    """Steps of work that one thread takes, and any thread can stop.

    Args:
        start: makes the steps; called in the worker's thread, when the first one is wanted.

    Attributes:
        newest: the last step that was taken; None before the first.
        state: ``running`` (also before it has begun), ``stopped``, ``finished`` or ``failed``.
    """

    def __init__(self, start: Callable[[], Iterator[Step]]) -> None:
        self._start = start
        self._steps: Iterator[Step] | None = None
        self._stop = threading.Event()
        self.newest: Step | None = None
        self.state = "running"

    @property
    def running(self) -> bool:
        """Whether there is more to do."""
        return self.state == "running"

    def stop(self) -> None:
        """End after the step that is being taken."""
        self._stop.set()

    def go_on(self) -> None:
        """Take up stopped work again, where it was left; it does not begin before ``pictures``."""
        self._stop.clear()
        if self.state == "stopped":
            self.state = "running"

    def pictures(self, hurry: Callable[[], bool]) -> Iterator[Step]:
        """Take all steps and yield the newest a few times a second, and whenever ``hurry()``.

        The reader may drop the generator; a new one goes on with the next step. The very last step
        may come between two pictures: it is in ``newest``.

        Raises:
            Exception: what a step raised; the state is then ``failed``.
        """
        shown_at = -math.inf
        while self.running:
            if self._stop.is_set():
                self.state = "stopped"
            elif self._step() and (self._is_time(shown_at) or hurry()):
                shown_at = time.monotonic()
                yield self.newest

    def _step(self) -> bool:
        """Take a step; return False where there was none left."""
        try:
            if self._steps is None:
                self._steps = self._start()
            self.newest = next(self._steps)
        except StopIteration:
            self.state = "finished"
            return False
        except BaseException:
            self.state = "failed"
            raise
        return True

    @staticmethod
    def _is_time(shown_at: float) -> bool:
        return time.monotonic() - shown_at >= _SECONDS_BETWEEN_PICTURES

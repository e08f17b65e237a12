"""One thread a lab: the latest wish wins.

A slider sends a value many times a second; an answer takes longer than that. So a handler only
*records* what is wanted and returns, and one worker thread takes the newest wish, drops the ones
before it, and gives up work that a newer wish has made stale.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Worker"]

Wish = TypeVar("Wish")

# A thread with nothing to do ends after this long; the next wish starts a new one. A learner who
# runs a cell fifty times does not gather fifty threads.
_IDLE_SECONDS = 5.0
_ENDING_SECONDS = 2.0
_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker(Generic[Wish]):
    """Runs ``work(wish)`` in a thread of its own for the newest wish.

    Args:
        work: called with one wish at a time, never twice at once. It asks ``outdated()`` between
            its parts and returns early when a newer wish waits. It handles its own errors.
        name: of the thread, for those who debug.
    """

    def __init__(self, work: Callable[[Wish], None], name: str = "lwlab") -> None:
        self._work = work
        self._name = name
        self._changed = threading.Condition()
        self._waiting: list[Wish] = []  # empty, or the one newest wish
        self._busy = False
        self._thread: threading.Thread | None = None
        self._ending = False
        _workers.add(self)

    def ask(self, wish: Wish) -> None:
        """Record ``wish``, replacing one that still waits, and return at once."""
        with self._changed:
            self._waiting = [wish]
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def outdated(self) -> bool:
        """Return whether the present work is for nothing: a newer wish waits, or Python ends."""
        with self._changed:
            return bool(self._waiting) or self._ending

    def idle(self) -> bool:
        """Return whether everything that was asked for is done."""
        with self._changed:
            return not self._waiting and not self._busy

    def wait(self, timeout: float | None = None) -> bool:
        """Block until idle, or ``timeout`` seconds have passed; return whether it is idle.

        Called from the worker's own thread (a callback that waits for itself) it returns at once.
        """
        if threading.current_thread() is self._thread:
            return False
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._waiting or self._busy:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def _loop(self) -> None:
        while (wish := self._next()) is not None:
            try:
                self._work(wish[0])
            except BaseException:
                # The thread dies with a traceback; the next wish must find that it is gone.
                with self._changed:
                    self._thread = None
                raise
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _next(self) -> list[Wish] | None:
        """Take the newest wish; None once there was none for a while, and the thread ends."""
        with self._changed:
            if not self._waiting and not self._ending:
                self._changed.wait_for(
                    lambda: bool(self._waiting) or self._ending, timeout=_IDLE_SECONDS
                )
            if not self._waiting or self._ending:
                self._thread = None
                return None
            wish, self._waiting = self._waiting, []
            self._busy = True
            return wish

    def end(self) -> None:
        """Give up the present work at its next part, for good, and wait a little for that."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_ENDING_SECONDS)


@atexit.register
def _end_all() -> None:
    """End the threads before Python does: one that is inside torch then would abort the process."""
    for worker in list(_workers):
        worker.end()

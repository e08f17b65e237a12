"""A lock between processes and machines: a file that only one can make.

Optuna has such a lock; it waits half a minute for a holder that was killed. This one sees at once
that a process of this machine is no more.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from types import TracebackType

from lwlab.search.processes import is_known_dead, this_process

__all__ = ["FileLock"]

_LEFT_AFTER_SECONDS = 30.0  # by a holder elsewhere; a lock is held for milliseconds
_LONGEST_PAUSE = 0.05


class FileLock:
    """Held by whoever made the file; ``acquire`` and ``release`` are what Optuna calls.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._mine = ""

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        mine = f"{this_process()}\n{uuid.uuid4().hex}"
        seen, since, pause = "", time.monotonic(), 0.001
        while not self._made(mine):
            content = self._content()
            if content != seen:
                seen, since = content, time.monotonic()
            if self._left_behind(content, since):
                self._break(content)
            else:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        self._mine = mine
        return True

    def release(self) -> None:
        """Give the lock back, unless somebody took us for dead and broke it."""
        if self._content() == self._mine:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _made(self, content: str) -> bool:
        try:
            with self._path.open("x") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def _content(self) -> str | None:
        try:
            return self._path.read_text()
        except OSError:
            return None  # given back meanwhile

    @staticmethod
    def _left_behind(content: str | None, since: float) -> bool:
        if content is None:
            return False
        holder = content.partition("\n")[0]
        return is_known_dead(holder) or time.monotonic() - since > _LEFT_AFTER_SECONDS

    def _break(self, content: str) -> None:
        # Looked at once more: another who waits may have broken it, and a third have taken it.
        if self._content() == content:
            self._path.unlink(missing_ok=True)

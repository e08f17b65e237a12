"""Who of a search still works: each process keeps a small file fresh while it lives.

Optuna's file of a study says that a try is running, not whether somebody still runs it. So each
worker has a file beside the study, and renews its time every second. A worker is dead

* when its file is gone: it ended by itself;
* when it ran on this machine and its process is no more: at once, after a SIGKILL too;
* when its file was not renewed while we watched for a minute: it was on another machine.

The minute is counted by our own clock, so that clocks of machines need not agree.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType

from lwlab.search.processes import is_known_dead, this_process

__all__ = ["Beat", "Watch"]

_RENEW_SECONDS = 1.0
_DEAD_AFTER_SECONDS = 60.0
_MOST_ATTEMPTS = 1000


def _folder(study: Path) -> Path:
    return study.with_name(f"{study.name}.workers")


class Beat:
    """A context that says: this process works on the study.

    Args:
        study: path of the study's file.

    Attributes:
        id: of this worker, unique.
    """

    def __init__(self, study: Path) -> None:
        self.id = uuid.uuid4().hex
        self._file = _folder(study) / self.id
        self._ended = threading.Event()

    def __enter__(self) -> Beat:
        self._write()
        threading.Thread(target=self._renew, name="lwlab search", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Say that this process works no more; also before the context ends."""
        self._ended.set()
        self._file.unlink(missing_ok=True)
        for other in self._file.parent.glob("*"):  # what was killed could not tidy up
            with contextlib.suppress(OSError):
                if is_known_dead(other.read_text()):
                    other.unlink()
        with contextlib.suppress(OSError):  # others are in it
            self._file.parent.rmdir()

    def _write(self) -> None:
        for _ in range(_MOST_ATTEMPTS):  # who ends takes the empty folder away
            self._file.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._file.write_text(this_process())
                return
        raise OSError(f"a file in {str(self._file.parent)!r} could not be made.")

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            with contextlib.suppress(OSError):  # a network that is away for a moment
                os.utime(self._file)


class Watch:
    """Tells which workers of a study are alive.

    Args:
        study: path of the study's file.
    """

    def __init__(self, study: Path) -> None:
        self._study = study
        self._seen: dict[str, tuple[float, float]] = {}  # by worker: its file's time, and ours

    def alive(self, worker: str | None) -> bool:
        """Return whether the worker with this id still works; nobody (None) does not."""
        if worker is None:
            return False
        file = _folder(self._study) / Path(worker).name
        try:
            renewed, content = file.stat().st_mtime, file.read_text()
        except OSError:
            return False
        if is_known_dead(content):
            return False
        before, since = self._seen.get(worker, (None, 0.0))
        if renewed != before:
            self._seen[worker] = (renewed, time.monotonic())
            return True
        return time.monotonic() - since < _DEAD_AFTER_SECONDS

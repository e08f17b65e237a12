"""What a lab tells the journal: the results that stay on screen, once they are at rest.

While a slider is dragged a whole result may come several times a second; those are no tries. A
result counts once it has stood for a second, or when Python ends. It is written by a thread of its
own, so that no redraw waits for a disk, and a journal that fails never breaks a lab: its sentence
stands beside the figures, once.
"""

from __future__ import annotations

import atexit
import dataclasses
import json
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from torch import nn

from lwlab.data import Dataset
from lwlab.journal import Entry, Origin, default_journal, model_fingerprint
from lwlab.labs.live_plot import LivePlot, error_text

__all__ = ["Recorder", "json_params", "one_try", "origin_of"]

Params = TypeVar("Params")
Result = TypeVar("Result")

_AT_REST_SECONDS = 1.0
# What differs from run to run says nothing about whether a try is another one.
_PASSING = ("created", "key", "latency_ms", "seconds")
_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def origin_of(models: nn.Module | Iterable[nn.Module], dataset: Dataset) -> Origin:
    """Return what the tries of a lab begin with.

    Args:
        models: the network that a lab works on, or those of a teacher.
        dataset: of the lab.
    """
    models = (models,) if isinstance(models, nn.Module) else tuple(models)
    return Origin(model_fingerprint(*models), dataset.name)


def json_params(params: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a frozen dataclass as a dict for ``lab.set`` and for JSON.

    Args:
        params: of a lab.
        without: fields that say what is shown, and not what was tried.
    """
    fields = {f.name: getattr(params, f.name) for f in dataclasses.fields(params)}
    return {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
        if name not in without
    }


def one_try(
    lab: object, origin: Origin, params: dict[str, Any], result: Any, **more: Any
) -> tuple[Entry]:
    """Return the try on screen, for a lab whose result has an ``accuracy`` and ``size_bytes``.

    Args:
        lab: names the source.
        origin: of the network.
        params: as ``json_params`` gives them.
        result: on screen.
        more: further fields of the entry.
    """
    return (
        Entry(
            source=type(lab).__name__,
            params=params,
            accuracy=result.accuracy.value,
            size_bytes=result.size_bytes,
            model=origin.model,
            dataset=origin.dataset,
            **more,
        ),
    )


class Recorder(Generic[Params, Result]):
    """Writes the results of one lab to the default journal, each try once.

    Args:
        entries: makes the tries of a result; called in the recorder's thread.
        live: where a failure is shown.
        lock: held by whoever changes the mark of ``live``.
    """

    def __init__(
        self,
        entries: Callable[[Params, Result], Sequence[Entry]],
        live: LivePlot,
        lock: threading.RLock,
    ) -> None:
        # A method that is held keeps its lab alive, and the set below must not.
        self._entries, self._live, self._lock = weakref.WeakMethod(entries), live, lock
        self._changing, self._writing = threading.Lock(), threading.Lock()
        self._newest: tuple[Params, Result] | None = None
        self._since = 0.0
        self._timer: threading.Timer | None = None
        self._written: set[str] = set()
        self._complained = False
        _recorders.add(self)

    def take(self, params: Params, result: Result) -> None:
        """Note a whole result and return at once; the one before it, if it was no rest, is gone."""
        with self._changing:
            self._newest, self._since = (params, result), time.monotonic()
            if self._timer is None:
                self._start_timer(_AT_REST_SECONDS)

    def flush(self) -> None:
        """Write what was noted last, now; for the end of Python, and for tests."""
        with self._changing:
            noted, self._newest = self._newest, None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if noted is not None:
            self._write(*noted)

    def _start_timer(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._on_timer)
        self._timer.daemon = True
        self._timer.start()

    def _on_timer(self) -> None:
        with self._changing:
            left = self._since + _AT_REST_SECONDS - time.monotonic()
            if left > 0 and self._newest is not None:
                self._start_timer(left)
                return
        self.flush()

    def _write(self, params: Params, result: Result) -> None:
        entries = self._entries()
        if entries is None:
            return
        with self._writing:
            try:
                journal = default_journal()
                if journal is None:
                    return
                for entry in entries(params, result):
                    if (mark := _mark(entry)) not in self._written:
                        journal.add(entry)
                        self._written.add(mark)
            except Exception as error:
                # Whatever it is: the lab goes on without a journal.
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        with self._lock:
            # Another mark says what matters more; the next failure finds its place.
            if not self._complained and self._live.status["kind"] == "fresh":
                text = f"This try is not in the journal: {error_text(error)}"
                self._live.mark("fresh", text)
                self._complained = True


def _mark(entry: Entry) -> str:
    fields = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry)}
    kept = {n: v for n, v in fields.items() if n not in (*_PASSING, "id", "state")}
    return json.dumps(kept, sort_keys=True)


@atexit.register
def _flush_all() -> None:
    """Write what still waits for its second when Python ends."""
    for recorder in list(_recorders):
        recorder.flush()

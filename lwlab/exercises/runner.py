"""Running a learner's function so that nothing it does can harm the notebook.

It runs in a thread of its own, under a time limit, on copies of its arguments; whatever it raises
is caught and handed back as a value.
"""

from __future__ import annotations

import contextvars
import copy
import ctypes
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lwlab.exercises.task import Case

__all__ = ["Outcome", "run_cases"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one call.

    Attributes:
        value: what was returned.
        error: what was raised, or None.
        timed_out: whether the call was still running at the limit.
        changed: positions of the arguments that the call changed.
    """

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False
    changed: tuple[int, ...] = ()

    @property
    def did_nothing(self) -> bool:
        """Whether the call returned None and left no trace, as a stub does."""
        quiet = self.value is None and self.error is None
        return quiet and not self.timed_out and not self.changed


class _Stopped(BaseException):
    """Thrown into a thread that took too long; no ``except Exception`` catches it."""


def run_cases(function: Callable[..., Any], cases: Sequence[Case], seconds: float) -> list[Outcome]:
    """Call ``function`` on each case and return what came of it, at most up to a time-out.

    Args:
        function: anything callable.
        cases: the inputs; the function gets copies.
        seconds: limit for all cases together. After it, the last outcome has ``timed_out``.
    """
    outcomes: list[Outcome] = []

    def work() -> None:
        for case in cases:
            outcomes.append(_run(function, case))

    # The context carries which cell is running, so that the function's print() lands there.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(_until_stopped, work), daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        # Also when the learner interrupts the wait.
        if thread.is_alive():
            _stop(thread)
    done = list(outcomes)
    return done if len(done) == len(cases) else [*done, Outcome(timed_out=True)]


def _run(function: Callable[..., Any], case: Case) -> Outcome:
    arguments = copy.deepcopy(case.arguments)
    try:
        value = function(*arguments)
    except _Stopped:
        raise
    except BaseException as error:  # SystemExit too: exit() in an exercise must not end a kernel
        return Outcome(error=error)
    pairs = zip(case.arguments, arguments, strict=True)
    changed = tuple(i for i, (before, after) in enumerate(pairs) if not _same(before, after))
    return Outcome(value=value, changed=changed)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        return isinstance(after, Tensor) and torch.equal(before, after)
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    return before == after


def _until_stopped(work: Callable[[], None]) -> None:
    try:
        work()
    except _Stopped:
        return


def _stop(thread: threading.Thread) -> None:
    """Throw ``_Stopped`` into ``thread``.

    Python has no other way to end a thread; an endless loop left alone would take half of every
    later computation. It acts at the thread's next line of Python.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(_Stopped)
    )

"""Scans: tables that fill in the background of a lab, one for each way to fill them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from lwlab.labs.long_work import LongWork

__all__ = ["Scans"]

Key = TypeVar("Key", bound=Hashable)
Table = TypeVar("Table")


class Scans(Generic[Key, Table]):
    """Which layer bears how much, in each way to compress it, as far as it was measured.

    Args:
        scan: makes the steps of the scan for a key; each one is a table with a point more.
    """

    def __init__(self, scan: Callable[[Key], Iterator[Table]]) -> None:
        self._scan = scan
        self._works: dict[Key, LongWork[Table]] = {}

    def start(self, key: Key) -> None:
        """Let the scan of ``key`` run; it goes on where it was stopped."""
        work = self._works.get(key)
        if work is None or work.state == "failed":
            self._works[key] = LongWork(lambda: self._scan(key))
        else:
            work.go_on()

    def stop(self) -> None:
        """Let all scans rest."""
        for work in self._works.values():
            work.stop()

    def of(self, key: Key) -> LongWork[Table] | None:
        """Return the scan of ``key``; None where none was started."""
        return self._works.get(key)

    def running(self, key: Key) -> bool:
        """Whether the scan of ``key`` has more to do, and is to do it."""
        work = self.of(key)
        return work is not None and work.running

    def newest(self, key: Key) -> Table | None:
        """Return what is measured for ``key``; None before the first point."""
        work = self.of(key)
        return None if work is None else work.newest

"""The sensitivity scans of PruneLab: one for each criterion, run in the background."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lwlab import prune
from lwlab.data import Split
from lwlab.labs.long_work import LongWork
from lwlab.labs.prune.criteria import Criteria
from lwlab.prune.sensitivity import Sensitivity, scan_sensitivity

__all__ = ["Scans"]


class Scans:
    """Which layer bears how much, by each criterion, as far as it was measured.

    Args:
        model: the unpruned network.
        split: accuracies are measured on it.
        criteria: of the same network.
    """

    def __init__(self, model: nn.Module, split: Split, criteria: Criteria) -> None:
        self._model, self._split, self._criteria = model, split, criteria
        self._works: dict[str, LongWork[Sensitivity]] = {}

    def start(self, criterion: str) -> None:
        """Let the scan by ``criterion`` run; it goes on where it was stopped."""
        work = self._works.get(criterion)
        if work is None or work.state == "failed":
            self._works[criterion] = LongWork(lambda: self._scan(criterion))
        else:
            work.go_on()

    def stop(self) -> None:
        """Let all scans rest."""
        for work in self._works.values():
            work.stop()

    def of(self, criterion: str) -> LongWork[Sensitivity] | None:
        """Return the scan by ``criterion``; None where none was started."""
        return self._works.get(criterion)

    def running(self, criterion: str) -> bool:
        """Whether the scan by ``criterion`` has more to do, and is to do it."""
        work = self.of(criterion)
        return work is not None and work.running

    def newest(self, criterion: str) -> Sensitivity | None:
        """Return what is measured by ``criterion``; None before the first point."""
        work = self.of(criterion)
        return None if work is None else work.newest

    def allocate(self, criterion: str, target_bytes: int) -> dict[str, float]:
        """Return sparsities by layer name whose file is at most ``target_bytes`` long.

        Raises:
            ValueError: nothing is measured yet, or the target is out of reach.
        """
        table = self.newest(criterion)
        if table is None:
            raise ValueError(
                f"sensitivity must be measured by criterion {criterion!r} before it can fill the "
                f"sliders, got none. Press Measure sensitivity first."
            )
        importance = self._criteria.importance(criterion)
        return prune.allocate(table, self._model, target_bytes=target_bytes, importance=importance)

    def _scan(self, criterion: str) -> Iterator[Sensitivity]:
        return scan_sensitivity(
            self._model,
            self._split,
            importance=self._criteria.importance(criterion),
            layers=self._criteria.layers(criterion),
        )

"""The sensitivity scans of PruneLab: one for each criterion, run in the background."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lwlab import prune
from lwlab.data import Split
from lwlab.labs.prune.criteria import Criteria
from lwlab.labs.scans import Scans
from lwlab.prune.sensitivity import Sensitivity, scan_sensitivity

__all__ = ["PruningScans"]


class PruningScans(Scans[str, Sensitivity]):
    """Which layer bears how much, by each criterion, as far as it was measured.

    Args:
        model: the unpruned network.
        split: accuracies are measured on it.
        criteria: of the same network.
    """

    def __init__(self, model: nn.Module, split: Split, criteria: Criteria) -> None:
        super().__init__(self._begin)
        self._model, self._split, self._criteria = model, split, criteria

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

    def _begin(self, criterion: str) -> Iterator[Sensitivity]:
        return scan_sensitivity(
            self._model,
            self._split,
            importance=self._criteria.importance(criterion),
            layers=self._criteria.layers(criterion),
        )

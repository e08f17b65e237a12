"""Everything that PruneLab computes: networks cut, trained and measured; no widget in sight."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator

from torch import nn

from lwlab.data import Dataset
from lwlab.labs.contract import Part
from lwlab.labs.estimate import estimate_label
from lwlab.labs.prune.criteria import Criteria
from lwlab.labs.prune.cutting import Cutter
from lwlab.labs.prune.measuring import Meter
from lwlab.labs.prune.params import PruneParams
from lwlab.labs.prune.result import PruneResult
from lwlab.labs.prune.scanning import PruningScans
from lwlab.labs.prune.tuning import FineTuning, Untuned

__all__ = ["Bench"]

_TUNING = "Fine-tuning; the figures are of the network right after the cut."


class Bench:
    """Prunes, trains and measures copies of ``model``.

    ``parts`` runs in the worker's thread; what a button starts or drops is set from others.

    Args:
        model: the unpruned network.
        dataset: of the lab.

    Attributes:
        criteria, scans: of this network.
        baseline: what was measured before anything was pruned.
    """

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        self._model, self._dataset = model, dataset
        self.criteria = Criteria(model, dataset)
        self.scans = PruningScans(model, dataset.validation, self.criteria)
        self._cutter = Cutter(model, self.criteria)
        self._meter = Meter(model, dataset)
        self._tuning: FineTuning | None = None
        untouched = self._cutter.pruned(PruneParams(sparsity=0.0))
        *_, self.baseline = self._meter.results(untouched, show="layers")

    def start_tuning(self, params: PruneParams) -> None:
        """Let the next ``parts`` of this cut fine-tune its network, from right after the cut.

        Raises:
            ValueError: the schedule is a rising one, and the cut has no sparsity to raise.
        """
        params.check_schedule()
        self._tuning = FineTuning(params, self._model, self._dataset, self._cutter, self.criteria)

    def keep_tuning(self, params: PruneParams) -> PruneParams:
        """Drop the fine-tuning of another cut; one of this cut stays, with its own settings."""
        tuning = self._tuning
        if tuning is not None and tuning.params.cut() != params.cut():
            self._tuning = tuning = None
        return params if tuning is None else params.tuned_as(tuning.params)

    def stop(self) -> None:
        """End the fine-tuning and the scans; what is there by then stays."""
        tuning = self._tuning
        if tuning is not None:
            tuning.work.stop()
        self.scans.stop()

    def running(self, params: PruneParams) -> bool:
        """Whether something of this setting takes long at this moment."""
        tuning = self._tuning_of(params)
        return (tuning is not None and tuning.work.running) or self.scans.running(params.criterion)

    def network(self, params: PruneParams) -> nn.Module:
        """Return the network of a setting, masked; the fine-tuned one where its training ended."""
        tuning = self._tuning_of(params)
        if tuning is not None and tuning.ended:
            return tuning.network
        return self._cutter.pruned(params)

    def parts(
        self, params: PruneParams, outdated: Callable[[], bool]
    ) -> Iterator[Part[PruneResult]]:
        """Yield the network of a setting, measured in parts; then go on with what takes long."""
        tuning, scan = self._tuning_of(params), self.scans.of(params.criterion)
        result = yield from self._measured(params, tuning)
        if tuning is not None and tuning.work.running:
            for _ in tuning.work.pictures(outdated):
                yield Part(dataclasses.replace(result, recovery=tuning.recovery()), _TUNING)
            result = yield from self._measured(params, tuning)
        if scan is not None and scan.running:
            for table in scan.pictures(outdated):
                text = f"Measuring the sensitivity: {table.done} of {table.total}."
                yield Part(dataclasses.replace(result, sensitivity=table), text)
            yield Part(dataclasses.replace(result, sensitivity=scan.newest))

    def _measured(
        self, params: PruneParams, tuning: FineTuning | None
    ) -> Generator[Part[PruneResult], None, PruneResult]:
        """Yield the network on screen, scored by more and more examples; return the last."""
        tuned = tuning is not None and tuning.ended
        network = tuning.network if tuned else self._cutter.pruned(params)
        for measured in self._meter.results(network, show=params.show):
            estimate = estimate_label(measured.accuracy, self._dataset.validation)
            if tuning is not None and not tuned and not estimate:
                tuning.untuned = Untuned(measured.accuracy, measured.size_bytes)
            result = dataclasses.replace(
                measured,
                recovery=None if tuning is None else tuning.recovery(),
                sensitivity=self.scans.newest(params.criterion),
            )
            yield Part(result, estimate)
        return result

    def _tuning_of(self, params: PruneParams) -> FineTuning | None:
        """Return the fine-tuning of this very cut, if there is one."""
        tuning = self._tuning
        if tuning is None or not tuning.alive or tuning.params.cut() != params.cut():
            return None
        return tuning

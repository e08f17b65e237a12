"""CriteriaLab: criteria beside each other at equal cuts, on several networks at once."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lwlab import measure, prune
from lwlab.checks import check_choice, check_count, check_fraction
from lwlab.data import Dataset
from lwlab.labs import criteria_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.live_plot import Screen

__all__ = ["CriteriaLab", "CriteriaParams", "CriteriaResult"]

_CUTS = {"channels": prune.CHANNEL_CRITERIA, "weights": prune.WEIGHT_CRITERIA}


@dataclass(frozen=True)
class CriteriaParams:
    """What every criterion is asked to do.

    Attributes:
        sparsity: share to cut of each layer but the last, in [0, 1).
        cut: whole ``channels``, or single ``weights``.
        recover_epochs: epochs of fine-tuning after the cut, 0 to 20.
    """

    sparsity: float = 0.5
    cut: str = "channels"
    recover_epochs: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        check_fraction("sparsity", self.sparsity)
        check_choice("cut", self.cut, _CUTS)
        check_count("recover_epochs", self.recover_epochs, minimum=0, maximum=20)


@dataclass(frozen=True)
class CriteriaResult:
    """What was measured at one setting.

    Attributes:
        rows: one for each criterion and network; fewer while they are being measured.
        criteria: names of all criteria of this cut.
        baseline: mean accuracy of the whole networks.
    """

    rows: tuple[prune.ComparisonRow, ...]
    criteria: tuple[str, ...]
    baseline: float


class CriteriaLab(Lab[CriteriaParams, CriteriaResult]):
    """Cut several trained networks by each criterion, the same share, and see who keeps what.

    Each criterion cuts the same networks, so that what differs is the criterion. The table under
    the plot says of each difference from *random* whether it is more than chance.

    Args:
        models: trained networks of one kind, at least two; left as they are.
        dataset: scores and fine-tuning see its train split, accuracies are of its validation split.
        sparsity, cut, recover_epochs: first values of the controls, see ``CriteriaParams``.
        after: keep the lab locked until this prediction is made or skipped.

    Raises:
        TypeError, ValueError: an argument is out of range, or as from ``prune.compare_criteria``.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        dataset: Dataset,
        *,
        sparsity: float = 0.5,
        cut: str = "channels",
        recover_epochs: int = 0,
        after: Gate | None = None,
    ) -> None:
        params = CriteriaParams(sparsity, cut, recover_epochs)
        if len(models) < 2:
            raise ValueError(
                f"models must be at least two trained networks, got {len(models)}: "
                f"a criterion can be lucky once."
            )
        prune.compare_criteria(models, dataset, sparsities=[sparsity])
        self._models, self._dataset = list(models), dataset
        self._known: dict[tuple[str, str, int], Mapping[str, Tensor]] = {}
        scored = [measure.accuracy(model, dataset.validation).value for model in models]
        self._baseline = statistics.mean(scored)
        controls = view.controls(params)
        super().__init__(params=params, controls=controls, rows=view.rows(controls), after=after)
        self.compute_first()

    def compute(self, params: CriteriaParams) -> Iterator[Part[CriteriaResult]]:
        """Cut and score; with fine-tuning, each network is an estimate's worth of news."""
        criteria = {name: self._remembered(params.cut, name) for name in _CUTS[params.cut]}
        wanted = len(criteria) * len(self._models)
        rows: list[prune.ComparisonRow] = []
        for row in prune.compare_criteria(
            self._models,
            self._dataset,
            criteria,
            sparsities=[params.sparsity],
            recover_epochs=params.recover_epochs,
        ):
            rows.append(row)
            if params.recover_epochs and len(rows) < wanted:
                yield Part(self._measured(rows, criteria), f"{len(rows)} of {wanted} measured.")
        yield Part(self._measured(rows, criteria))

    def draw(self, params: CriteriaParams, result: CriteriaResult) -> Screen:
        """Return the marks of this cut, the means of all cuts tried so far, and the table."""
        return view.draw(params, result, self.history)

    def _remembered(self, cut: str, name: str) -> prune.Criterion:
        """Return a criterion that asks each network once: scores do not hang on the sparsity."""

        def criterion(model: nn.Module, dataset: Dataset, seed: int) -> Mapping[str, Tensor]:
            key = (cut, name, seed)
            if key not in self._known:
                self._known[key] = _CUTS[cut][name](model, dataset, seed)
            return self._known[key]

        return criterion

    def _measured(
        self, rows: list[prune.ComparisonRow], criteria: Mapping[str, prune.Criterion]
    ) -> CriteriaResult:
        return CriteriaResult(tuple(rows), tuple(criteria), self._baseline)

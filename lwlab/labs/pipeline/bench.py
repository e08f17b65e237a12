"""Everything that PipelineLab does: steps carried out, tries kept; no widget in sight."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from torch import nn

from lwlab import measure
from lwlab.checks import check_module
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.journal import Entry, Journal
from lwlab.labs.contract import Part
from lwlab.labs.journaling import origin_of
from lwlab.labs.pipeline.attempt import Attempt
from lwlab.labs.pipeline.forms import entry_of
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.labs.pipeline.result import AttemptResult, PipelineLabResult
from lwlab.labs.pipeline.tries import Tries
from lwlab.pipeline import StepRecord, StepScorecard, score
from lwlab.pipeline.keeping import step_entry
from lwlab.pipeline.packed import loaded_back

__all__ = ["SOURCE", "Bench"]

SOURCE = "PipelineLab"


class Bench:
    """Runs pipelines on copies of ``model`` and keeps what their steps leave.

    ``parts`` runs in the worker's thread; what a button starts or ends is set from others.

    Args:
        model: plain.
        dataset: of the lab.
        teacher: as for ``pipeline.run``.
        journal: where tries are kept; None for memory alone.

    Attributes:
        baseline: the model as it was given, measured from its file.
        attempt: the present run, or the last one; None before the first.
        tries: with this model and data set.
        chosen: the try that was brought back last.

    Raises:
        TypeError, ValueError: the model is not plain, or does not fit the data set.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        teacher: nn.Module | Teacher | None,
        journal: Journal | None,
    ) -> None:
        self._model = copy.deepcopy(check_module("model", model))
        self._dataset, self._teacher = dataset, teacher
        self._origin = origin_of(self._model, dataset)
        Attempt(PipelineParams(), self._model, dataset, teacher, self._keep)  # says what is wrong
        self.baseline: StepScorecard = score(self._model, dataset)
        self.attempt: Attempt | None = None
        self.tries = Tries(journal, self._origin)
        self.chosen: Entry | None = None

    def start(self, params: PipelineParams) -> None:
        """Let the next ``parts`` carry out the steps; a run that is under way is given up.

        Raises:
            ValueError: the order makes no sense; a run that is under way stays.
        """
        attempt = Attempt(params, self._model, self._dataset, self._teacher, self._keep)
        self.tries.refresh()
        self.attempt, self.chosen = attempt, None

    def parts(self, outdated: Callable[[], bool]) -> Iterator[Part[PipelineLabResult]]:
        """Yield what is there; then go on with the steps."""
        attempt = self.attempt
        if attempt is not None and attempt.state == "running":
            yield self._part()
            for _ in attempt.pictures(outdated):
                yield self._part()
        yield self._part()

    def _part(self) -> Part[PipelineLabResult]:
        result = self.result()
        return Part(result, "" if result.run is None else _standing(result.run))

    def result(self) -> PipelineLabResult:
        """Return everything at this moment."""
        tries = self.tries
        return PipelineLabResult(
            self._run_result(), tries.entries, tries.front, self.chosen, tries.complaint
        )

    def _run_result(self) -> AttemptResult | None:
        attempt = self.attempt
        if attempt is None:
            return None
        records = tuple(attempt.records)
        keys = tuple(attempt.keys[: len(records)])
        return AttemptResult(attempt.params, records, keys, attempt.progress, attempt.state)

    def _keep(self, params: PipelineParams, record: StepRecord) -> str:
        """Keep a finished step with its file, its recipe so far and what was measured: its key."""
        blocks = [entry_of(step) for step in params.steps[: record.index]]
        entry = step_entry(
            record,
            params.steps,
            params.seed,
            self._origin,
            source=SOURCE,
            params={"steps": blocks, "of": record.total},
        )
        self.tries.add(entry)
        return entry.key

    def model_of(self, entry: Entry) -> nn.Module:
        """Return the network of a try, plain, loaded from its file.

        Raises:
            ValueError: its file was not kept.
        """
        data = self.tries.state(entry)
        if data is None:
            raise ValueError(
                f"a try must have its file in the journal, got one of {entry.source} without. "
                f"Make it again by its parameters: {entry.params}."
            )
        return loaded_back(data, self._model)

    def test_accuracy(self, entry: Entry) -> measure.Accuracy:
        """Return the accuracy of a try on the test split."""
        return measure.accuracy(self.model_of(entry), self._dataset.test)


def _standing(run: AttemptResult) -> str:
    """Return one sentence about a run that is not over; empty for one that is."""
    if not run.active:
        return ""
    count = len(run.params.steps)
    number = min(len(run.records) + 1, count)
    name = run.params.steps[number - 1].name
    if run.state == "paused":
        return f"Paused in step {number} of {count}, {name}."
    if run.progress is None:
        return f"Step {number} of {count}, {name}."
    return f"Step {number} of {count}, {name}: epoch {run.progress.training.epoch}."

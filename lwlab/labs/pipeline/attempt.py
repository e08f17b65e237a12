"""One run of a pipeline in the background: progress, pause, stop, and what each step left."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.labs.held_work import HeldWork
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.pipeline import Progress, StepRecord, run

__all__ = ["Attempt"]

_STEPS_PER_RECORD = 2  # batches between two looks at the buttons


class Attempt(HeldWork):
    """Carries out the steps of one setting; ``pictures`` takes them.

    Args:
        params: the setting.
        model: plain; left as it is.
        dataset: to train on and to look at.
        teacher: as for ``pipeline.run``.
        finished: called with the record of each step that has ended; returns the key of the try.

    Attributes:
        records: of the steps that have ended.
        keys: of the tries that they are.
        progress: of the training that is under way; None where none is.
        error: what ended it, or None.

    Raises:
        TypeError, ValueError: as for ``pipeline.run``: the order makes no sense, for example.
    """

    def __init__(
        self,
        params: PipelineParams,
        model: nn.Module,
        dataset: Dataset,
        teacher: nn.Module | Teacher | None,
        finished: Callable[[PipelineParams, StepRecord], str],
    ) -> None:
        self.params = params
        self.records: list[StepRecord] = []
        self.keys: list[str] = []
        self.progress: Progress | None = None
        super().__init__()
        self._finished = finished
        # Made here, so that what is wrong with the arguments is said where the button is pressed.
        self._running = run(
            model,
            dataset,
            params.steps,
            teacher=teacher,
            seed=params.seed,
            steps_per_record=_STEPS_PER_RECORD,
        )

    def _steps(self) -> Iterator[Progress | StepRecord]:
        for record in self._running:
            if isinstance(record, Progress):
                self.progress = record
            else:
                self.progress = None
                self.keys.append(self._finished(self.params, record))
                self.records.append(record)
            yield record

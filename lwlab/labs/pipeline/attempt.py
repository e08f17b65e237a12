"""One run of a pipeline in the background: progress, pause, stop, and what each step left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from torch import nn

from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.labs.long_work import LongWork
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.pipeline import Progress, StepRecord, run

__all__ = ["Attempt"]

_STEPS_PER_RECORD = 2  # batches between two looks at the buttons


class Attempt:
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
        self.error: Exception | None = None
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
        self._work = LongWork(self._steps)
        self._wish, self._changing = "run", threading.Lock()

    # ---- the buttons ---------------------------------------------------------------------------

    def pause(self) -> None:
        """Hold it between two batches, until ``go_on``."""
        self._want("pause")

    def go_on(self) -> None:
        """Take it up again; it goes on with the next ``pictures``."""
        self._want("run")

    def stop(self) -> None:
        """End it; the steps that have ended stay."""
        self._want("stop")

    def _want(self, wish: str) -> None:
        with self._changing:
            if self._wish == "stop":
                return
            self._wish = wish
            if wish != "run":
                self._work.stop()

    @property
    def state(self) -> str:
        """``running``, ``paused``, ``stopped``, ``finished`` or ``failed``."""
        found = self._work.state
        if found == "failed" and self.error is None:
            found = "stopped"  # a keyboard interrupt, which is no fault of the steps
        if found == "stopped":
            return {"pause": "paused", "run": "running", "stop": "stopped"}[self._wish]
        return found

    @property
    def active(self) -> bool:
        """Whether it is not over."""
        return self.state in ("running", "paused")

    # ---- the steps -----------------------------------------------------------------------------

    def pictures(self, hurry: Callable[[], bool]) -> Iterator[None]:
        """Take steps until it is over or held; see ``LongWork.pictures``."""
        with self._changing:
            if self._wish == "run":
                self._work.go_on()
        try:
            for _ in self._work.pictures(hurry):
                yield
        except Exception as error:
            self.error = error
            raise

    def _steps(self) -> Iterator[Progress | StepRecord]:
        for record in self._running:
            if isinstance(record, Progress):
                self.progress = record
            else:
                self.progress = None
                self.keys.append(self._finished(self.params, record))
                self.records.append(record)
            yield record

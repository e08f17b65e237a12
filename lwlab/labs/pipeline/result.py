"""What PipelineLab shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from lwlab.journal import Entry
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.pipeline import Progress, StepRecord

__all__ = ["AttemptResult", "PipelineLabResult"]


@dataclass(frozen=True)
class AttemptResult:
    """A run at one moment.

    Attributes:
        params: the steps and the seed that it was started with.
        records: of the steps that have ended.
        keys: of the tries that these steps are in the journal.
        progress: of the training under way; None where none is.
        state: ``running``, ``paused``, ``stopped``, ``finished`` or ``failed``.
    """

    params: PipelineParams
    records: tuple[StepRecord, ...] = field(repr=False)
    keys: tuple[str, ...]
    progress: Progress | None
    state: str

    @property
    def active(self) -> bool:
        """Whether it is not over."""
        return self.state in ("running", "paused")


@dataclass(frozen=True)
class PipelineLabResult:
    """The run on screen beside all tries.

    Attributes:
        run: the run under way, or the last one; None before the first.
        tries: all with this model and data set.
        front: those of them that no other one beats.
        chosen: the try that was brought back last; None before.
        complaint: what is wrong with the journal; empty where nothing is.
    """

    run: AttemptResult | None = None
    tries: tuple[Entry, ...] = field(default=(), repr=False)
    front: tuple[Entry, ...] = field(default=(), repr=False)
    chosen: Entry | None = None
    complaint: str = ""

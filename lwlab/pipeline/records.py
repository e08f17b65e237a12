"""What a running pipeline hands to its reader."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from lwlab.pipeline.packed import StepScorecard
from lwlab.pipeline.step import Step
from lwlab.train import Record

__all__ = ["PipelineResult", "Progress", "StepRecord"]


@dataclass(frozen=True)
class Progress:
    """A moment in the training of a step.

    Attributes:
        index: of the step, from 1; ``total``: how many there are.
        step: the step under way.
        training: ``fit``'s record.
    """

    index: int
    total: int
    step: Step
    training: Record

    @property
    def fraction(self) -> float:
        """How much of this step's training is done, in (0, 1]."""
        return self.training.step / self.training.total_steps


@dataclass(frozen=True)
class StepRecord:
    """A finished step.

    Attributes:
        index: of the step, from 1; ``total``: how many there are.
        step: what was done.
        scorecard: of the packed file after it, loaded back.
        seconds: how long the step took, without the reader's time and without the measuring.
        data: the packed file.
        resumed: it was finished by an earlier run, and read from the folder.
    """

    index: int
    total: int
    step: Step
    scorecard: StepScorecard
    seconds: float
    data: bytes = field(repr=False)
    resumed: bool = False

    def __str__(self) -> str:
        return f"{self.index} of {self.total}: {self.step.describe()}: {self.scorecard}"


@dataclass(frozen=True)
class PipelineResult:
    """What a pipeline leaves.

    Attributes:
        model: plain, loaded from ``data``.
        records: one for each step.
        data: the packed file.
    """

    model: nn.Module
    records: tuple[StepRecord, ...]
    data: bytes = field(repr=False)

    @property
    def scorecard(self) -> StepScorecard:
        """That of the last step."""
        return self.records[-1].scorecard

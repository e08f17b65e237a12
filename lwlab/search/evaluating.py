"""One try: the steps carried out, and their file measured. The only place that meets pipelines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from lwlab.data import Dataset
from lwlab.pipeline import Step, StepRecord, run

__all__ = ["Evaluate", "Outcome", "StoppedError", "evaluate"]

# Often enough for a Stop that feels like one, seldom enough to cost nothing.
_STEPS_PER_LOOK = 5


class StoppedError(Exception):
    """A try was given up because nobody wants it any more."""


@dataclass(frozen=True)
class Outcome:
    """What a recipe comes to.

    Attributes:
        accuracy: fraction right on the validation split, by the file that was loaded back.
        size_bytes: length of the packed file.
        seconds: that it took.
        data: the packed file.
    """

    accuracy: float
    size_bytes: int
    seconds: float
    data: bytes = field(repr=False)


Evaluate = Callable[[nn.Module, Dataset, Sequence[Step], int, Callable[[], bool]], Outcome]


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    steps: Sequence[Step],
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Carry out ``steps`` on a copy of ``model`` and measure what they leave.

    Args:
        model: plain; left as it is.
        dataset: ``train`` is learned, ``validation`` is scored.
        steps: in an order that makes sense.
        seed: of all that is random.
        stopped: asked between a few batches whether to give up.

    Raises:
        StoppedError: ``stopped()`` said so.
        TypeError, ValueError: as for ``pipeline.run``.
    """
    begun = time.perf_counter()
    last: StepRecord | None = None
    for record in run(model, dataset, steps, seed=seed, steps_per_record=_STEPS_PER_LOOK):
        if stopped():
            raise StoppedError
        if isinstance(record, StepRecord):
            last = record
    card = last.scorecard
    seconds = time.perf_counter() - begun
    return Outcome(card.accuracy.value, card.size_bytes, seconds, last.data)

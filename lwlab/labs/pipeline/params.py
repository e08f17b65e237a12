"""What PipelineLab is asked for: steps in an order, and the seed of what is random in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lwlab.checks import check_count
from lwlab.labs.pipeline.forms import step_of
from lwlab.pipeline import FineTune, Pack, Prune, Quantize, Step, TrainQuantized, check_order

__all__ = ["FIRST_STEPS", "PipelineParams", "fault_in", "to_steps"]

FIRST_STEPS = (Prune(0.8), FineTune(2), Quantize(4), TrainQuantized(2), Pack())


@dataclass(frozen=True)
class PipelineParams:
    """A pipeline; its order may make no sense, and then it cannot be run.

    Attributes:
        steps: ``pipeline`` steps, or dicts as ``entry_of`` gives them; in the order of the blocks.
        seed: of all that is random in them.
    """

    steps: tuple[Step, ...] = FIRST_STEPS
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field, but not the order."""
        object.__setattr__(self, "steps", to_steps(self.steps))
        check_count("seed", self.seed, minimum=0)

    @property
    def fault(self) -> str:
        """Why the steps cannot be run in this order; empty where they can."""
        return fault_in(self.steps)[1]


def to_steps(steps: Any) -> tuple[Step, ...]:
    """Return steps and dicts of steps as steps.

    Raises:
        TypeError, ValueError: one of them is neither, or a field is out of range.
    """
    if isinstance(steps, str | Step) or not isinstance(steps, Sequence):
        raise TypeError(f"steps must be a list of steps, got {type(steps).__name__}.")
    return tuple(step if isinstance(step, Step) else step_of(step) for step in steps)


def fault_in(steps: tuple[Step, ...]) -> tuple[int, str]:
    """Return which step is the first in a wrong place, from 0, and why; ``(-1, "")`` for none."""
    try:
        check_order(steps)
    except (TypeError, ValueError) as error:
        # The order up to a step tells whether it is this one.
        wrong = (n for n in range(1, len(steps) + 1) if not _makes_sense(steps[:n]))
        return next(wrong, 0) - 1, str(error)
    return -1, ""


def _makes_sense(steps: tuple[Step, ...]) -> bool:
    try:
        check_order(steps)
    except (TypeError, ValueError):
        return False
    return True

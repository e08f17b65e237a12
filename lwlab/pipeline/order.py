"""Which orders of steps make sense: a table of what a step needs, and of what it may not follow.

The order is looked at before anything runs, so that an hour of training is not followed by a step
that undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lwlab.pipeline.pruning import Prune
from lwlab.pipeline.step import Step
from lwlab.pipeline.steps import check_steps

__all__ = ["RULES", "Rule", "check_order"]


@dataclass(frozen=True)
class Rule:
    """What must hold of the steps before one step.

    Attributes:
        needs: one of these must come before it; empty where nothing must.
        because: why, and what to take in its place.
        not_after: names of steps that it may not come after, each with the reason.
    """

    needs: tuple[str, ...] = ()
    because: str = ""
    not_after: dict[str, str] = field(default_factory=dict)


_FLOAT_FIRST = "Train is for the float model; to train on after a cut there is FineTune"
_THROUGH = "the weights behind a grid must be trained through the rounding. Try TrainQuantized"
_CUT_FIRST = "a cut looks at the float weights, and the grid or table was made for those it leaves"
_ONE_TABLE = "a weight can be on a grid or in a table of values, not in both"
_UNDONE = "training would move the halved numbers off half precision again"
_ONCE = "the new table would be made from the weights of before, and the training of the first lost"

RULES: dict[str, Rule] = {
    "Train": Rule(
        not_after={
            "Prune": _FLOAT_FIRST,
            "RemoveChannels": _FLOAT_FIRST,
            "Quantize": _FLOAT_FIRST,
            "ShareWeights": _FLOAT_FIRST,
            "Halve": _UNDONE,
        },
    ),
    "Distil": Rule(
        not_after={"Quantize": f"{_THROUGH} with distil=True", "Halve": _UNDONE},
    ),
    "Prune": Rule(
        not_after={"Quantize": _CUT_FIRST, "ShareWeights": _CUT_FIRST, "Halve": _UNDONE},
    ),
    "RemoveChannels": Rule(
        not_after={"Quantize": _CUT_FIRST, "ShareWeights": _CUT_FIRST},
    ),
    "FineTune": Rule(
        needs=("Prune", "RemoveChannels", "ShareWeights"),
        because="there is nothing to mend yet. Try Train",
        not_after={"Quantize": _THROUGH, "Halve": _UNDONE},
    ),
    "Quantize": Rule(
        not_after={"ShareWeights": _ONE_TABLE},
    ),
    "TrainQuantized": Rule(
        needs=("Quantize",),
        because="there is no rounding to train through. Try FineTune, or Train",
        not_after={"Halve": _UNDONE},
    ),
    "ShareWeights": Rule(
        not_after={"Quantize": _ONE_TABLE, "ShareWeights": _ONCE},
    ),
    "Halve": Rule(),
    "Pack": Rule(),
}
"""By the name of the step. That nothing may come after ``Pack`` is said once, in ``_clash``."""


def check_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return ``steps`` as a tuple if their order makes sense.

    Raises:
        TypeError, ValueError: they are no steps, or none.
        ValueError: a step is in the wrong place; the sentence names it, the one it clashes with
            or misses, and the reason.
    """
    steps = check_steps(steps)
    for index, step in enumerate(steps):
        _check_place(steps[:index], step, f"{step.name} (step {index + 1})")
    return steps


def _check_place(before: tuple[Step, ...], step: Step, title: str) -> None:
    rule = RULES[step.name]
    for index, earlier in enumerate(before):
        reason = _clash(earlier, step, between=before[index + 1 :])
        if reason:
            raise _refusal(f"{title} after {earlier.name} (step {index + 1})", reason)
    if rule.needs and not any(earlier.name in rule.needs for earlier in before):
        raise _refusal(f"{title} without {' or '.join(rule.needs)} before it", rule.because)


def _clash(earlier: Step, step: Step, between: tuple[Step, ...]) -> str | None:
    """Return why ``step`` may not come after ``earlier``, or None."""
    if earlier.name == "Pack":
        return "Pack writes the file, so it must be the last step"
    if isinstance(earlier, Prune) and isinstance(step, Prune):
        # Where channels went, the share of zeros is another one, and not known before.
        moved = any(other.name == "RemoveChannels" for other in between)
        return None if moved else _no_further_cut(earlier, step)
    return RULES[step.name].not_after.get(earlier.name)


def _no_further_cut(earlier: Prune, step: Prune) -> str | None:
    if earlier.sparsity is None or step.sparsity is None or step.sparsity > earlier.sparsity:
        return None
    return (
        f"what is pruned stays pruned, so a sparsity of {step.sparsity:g} after "
        f"{earlier.sparsity:g} would cut nothing"
    )


def _refusal(what: str, reason: str) -> ValueError:
    return ValueError(f"steps must be in an order that makes sense, got {what}: {reason}.")

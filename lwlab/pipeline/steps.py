"""The steps of a pipeline, all in one place.

    recipe = [Prune(0.9), FineTune(epochs=3), Quantize(4), TrainQuantized(epochs=2), Pack()]
    for record in run(model, dataset, recipe):
        print(record)

A step says in a few numbers what is done to a model (``step.py``). What it leaves is the model in
another of its states, on which the next step works:

============== ===================================================== =============================
step           what it does                                          what the weight then is
============== ===================================================== =============================
Train          learns from the labels                                original
Distil         learns from a teacher                                 as before
Prune          sets the least important weights to 0                 Mask(original)
RemoveChannels makes layers narrower                                 the same, with fewer channels
FineTune       mends what the cut broke                              as before
Quantize       puts the weights onto a grid                          FakeQuantize(Mask(original))
TrainQuantized learns through the rounding                           as before
ShareWeights   gives each layer a table of few values                SharedWeights(Mask(original))
Halve          rounds the numbers that are left to 2 bytes           as before
Pack           writes the file, and reads it back                    plain: what the file says
============== ===================================================== =============================

The steps are in ``training.py``, ``pruning.py``, ``rounding.py`` and ``closing.py``. Not every
order makes sense: ``order.py`` says which do not, and why.
"""

from __future__ import annotations

from collections.abc import Sequence

from lwlab.pipeline.closing import Halve, Pack
from lwlab.pipeline.pruning import Prune, RemoveChannels
from lwlab.pipeline.rounding import Quantize, ShareWeights
from lwlab.pipeline.step import Step
from lwlab.pipeline.training import Distil, FineTune, Train, TrainQuantized

__all__ = ["MOST_STEPS", "STEPS", "check_steps"]

STEPS: dict[str, type[Step]] = {
    kind.__name__: kind
    for kind in (
        Train,
        Distil,
        Prune,
        RemoveChannels,
        FineTune,
        Quantize,
        TrainQuantized,
        ShareWeights,
        Halve,
        Pack,
    )
}
"""The steps by the names that recipes call them."""

MOST_STEPS = 100


def check_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return ``steps`` as a tuple if they are 1 to 100 steps.

    Raises:
        TypeError: they are no sequence, or one of them is no step.
        ValueError: there are none, or too many.
    """
    if isinstance(steps, Step) or not isinstance(steps, Sequence) or isinstance(steps, str):
        raise TypeError(f"steps must be a list of steps, got {_kind(steps)}. Try [Prune(0.9)].")
    for number, step in enumerate(steps, start=1):
        if not isinstance(step, tuple(STEPS.values())):
            hint = f" Did you mean {step.__name__}()?" if isinstance(step, type) else ""
            raise TypeError(
                f"step {number} must be a step such as Prune(0.9), got {_kind(step)}.{hint}"
            )
    if not 1 <= len(steps) <= MOST_STEPS:
        raise ValueError(f"steps must be 1 to {MOST_STEPS} steps, got {len(steps)}.")
    return tuple(steps)


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__

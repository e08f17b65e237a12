"""Schedules: how the sparsity rises while a network trains.

With p the progress, from 0 to 1:

    one shot:  s(p) = final as soon as p > 0
    linear:    s(p) = initial + (final - initial) p
    cubic:     s(p) = final + (initial - final) (1 - p)^3

All start at ``initial`` and end at ``final``. The cubic one cuts fast at first, where many weights
are to spare, and slows down as fewer are left. Each is a plain function, for a loop such as::

    for step in range(1, steps + 1):
        mask_model_(model, sparsity=cubic(step / steps, final=0.9))
        for record in fit(model, dataset, epochs=1): ...
"""

from __future__ import annotations

from lwlab.checks import check_fraction

__all__ = ["cubic", "linear", "one_shot"]


def one_shot(progress: float, final: float, initial: float = 0.0) -> float:
    """Return ``initial`` at progress 0 and ``final`` from there on: all is cut at once.

    Args:
        progress: share of the steps that are done, in [0, 1].
        final: sparsity at the end, in [0, 1).
        initial: sparsity at the start, from 0 to ``final``.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """
    progress, final, initial = _checked(progress, final, initial)
    return final if progress > 0 else initial


def linear(progress: float, final: float, initial: float = 0.0) -> float:
    """Return the sparsity on a straight line from ``initial`` to ``final``.

    Every step prunes as many weights as any other. Arguments and errors: see ``one_shot``.
    """
    progress, final, initial = _checked(progress, final, initial)
    return final + (initial - final) * (1 - progress)


def cubic(progress: float, final: float, initial: float = 0.0) -> float:
    """Return ``final + (initial - final) (1 - progress)^3``.

    >>> cubic(0.5, final=0.8)
    0.7000000000000001

    Half-way, 7/8 of the cut are done. Arguments and errors: see ``one_shot``.

    Source: Zhu & Gupta 2017, "To prune, or not to prune", arXiv:1710.01878, equation 1.
    """
    progress, final, initial = _checked(progress, final, initial)
    return final + (initial - final) * (1 - progress) ** 3


def _checked(progress: float, final: float, initial: float) -> tuple[float, float, float]:
    progress = check_fraction("progress", progress, allow_one=True)
    final = check_fraction("final", final)
    initial = check_fraction("initial", initial)
    if initial > final:
        raise ValueError(
            f"initial must be a fraction in [0, final], here [0, {final:g}], got {initial:g}. "
            f"Sparsity only rises; did you exchange the two?"
        )
    return progress, final, initial

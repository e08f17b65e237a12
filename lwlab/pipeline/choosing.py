"""Choosing a recipe for a budget of bytes.

1. In each family of recipes (``families.py``) the knob is turned until the untrained file fits.
2. A short trial trains each of them for an epoch on at most 2,000 examples. It shows which are
   worth more, and how training moves the size, since the coder likes some codes better than others.
3. The best three, and all families that use one technique alone, are trained in full. A file that
   comes out too long is made anew with the knob turned further.
4. The best on the validation split is taken. Since each technique alone is among those trained, for
   as many epochs, the result is not below it there.

The untrained files always fit and are among those that are compared, so a budget that any of them
meets is met. A family that does not fit the model is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from lwlab.pipeline.families import Family
from lwlab.pipeline.survey import Survey, Tried
from lwlab.units import format_count

__all__ = ["best_within"]

_BEST = 3  # families of several techniques that are trained in full
_RETRIES = 3
_SLACK = 0.995  # of the budget is aimed at once a file came out too long


def best_within(
    survey: Survey, budget_bytes: int, *, epochs: int, families: Iterable[Family]
) -> Tried:
    """Return the most accurate of all that fits; of equals the smallest.

    Args:
        survey: of the model; what it knows is used again.
        budget_bytes: the longest that the file may be.
        epochs: as for ``compress``.
        families: to choose among.

    Raises:
        ValueError: no file fits.
    """
    families = list(families)
    _check_possible(survey, budget_bytes, families)
    knobs = {family.name: survey.fitting(family, budget_bytes) for family in families}
    fitting = [family for family in families if knobs[family.name] is not None]
    found = [survey.untrained(family, knobs[family.name]) for family in fitting]
    trials = {family.name: survey.trial(family, knobs[family.name]) for family in fitting}
    for family in _worth_training([family for family in fitting if trials[family.name]], trials):
        untrained = survey.size_of(family, knobs[family.name])
        growth = trials[family.name].size_bytes / untrained
        trained = _trained_to_fit(survey, family, budget_bytes, epochs, growth)
        found += [] if trained is None else [trained]
    return max(found, key=_merit)


def _check_possible(survey: Survey, budget_bytes: int, families: list[Family]) -> None:
    smallest = survey.smallest(families)
    title = type(survey.model).__name__
    if math.isinf(smallest):
        name, reason = next(iter(survey.failures.items()))
        raise ValueError(f"families must fit this {title}, got {name!r}, where {reason}")
    if smallest > budget_bytes:
        raise ValueError(
            f"budget_bytes must be at least {format_count(smallest)}, the smallest file found for "
            f"this {title}, got {format_count(budget_bytes)}."
        )


def _worth_training(families: list[Family], trials: dict[str, Tried]) -> list[Family]:
    """Return the families of one technique, and the best of the others by their short trials."""
    combined = sorted(
        (family for family in families if not family.single),
        key=lambda family: _merit(trials[family.name]),
        reverse=True,
    )
    return [family for family in families if family.single] + combined[:_BEST]


def _trained_to_fit(
    survey: Survey, family: Family, budget_bytes: int, epochs: int, growth: float
) -> Tried | None:
    """Return a trained file of ``family`` that fits, or None.

    Args:
        survey: of the model.
        family: of the recipe.
        budget_bytes: the longest that the file may be.
        epochs: as for ``compress``.
        growth: bytes with training / bytes without, as far as is known.
    """
    for _ in range(_RETRIES):
        knob = survey.fitting(family, budget_bytes / growth)
        if knob is None:
            return None
        tried = survey.trained(family, knob, epochs)
        if tried is None or tried.size_bytes <= budget_bytes:
            return tried
        growth = tried.size_bytes / survey.size_of(family, knob) / _SLACK
    return None


def _merit(tried: Tried) -> tuple[int, int]:
    return tried.scorecard.accuracy.correct, -tried.size_bytes

"""``compress``: the best model for a budget of bytes, or the smallest file for an accuracy.

    small = compress(model, dataset, budget_bytes=10_000)
    print(small.scorecard, small.steps)

How a recipe is chosen for a budget is in ``choosing.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import nn

from lwlab.checks import check_choice, check_count, check_fraction
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.measure import accuracy
from lwlab.pipeline.choosing import best_within
from lwlab.pipeline.families import FAMILIES, Family
from lwlab.pipeline.packed import StepScorecard, loaded_back, score
from lwlab.pipeline.step import Step
from lwlab.pipeline.survey import Survey, Tried
from lwlab.units import format_percent

__all__ = ["Compressed", "compress"]

_CLOSE = 1.05  # two budgets so near to each other are one, when the smallest file is looked for


@dataclass(frozen=True)
class Compressed:
    """What ``compress`` found.

    Attributes:
        model: plain, loaded from ``data``.
        steps: the recipe; ``run`` with it and ``seed`` gives the same file.
        seed: of all that is random in it.
        data: the packed file.
        scorecard: of that file, with the accuracy on validation and test.
        tried: what else was carried out and measured, short trials too.
    """

    model: nn.Module
    steps: tuple[Step, ...]
    seed: int
    data: bytes = field(repr=False)
    scorecard: StepScorecard
    tried: tuple[Tried, ...] = field(repr=False)

    def __str__(self) -> str:
        recipe = "\n".join(f"  {step.describe()}" for step in self.steps)
        return f"{recipe}\n{self.scorecard}; {len(self.tried)} tries"


def compress(
    model: nn.Module,
    dataset: Dataset,
    *,
    budget_bytes: int | None = None,
    min_accuracy: float | None = None,
    seed: int = 0,
    epochs: int = 2,
    teacher: nn.Module | Teacher | None = None,
    families: Iterable[str] | None = None,
    watch: Callable[[Tried], None] | None = None,
) -> Compressed:
    """Return the best model that fits a budget, or the smallest file that is accurate enough.

    All choices are made on ``dataset.validation``; ``dataset.test`` is scored once, at the end. The
    best of several scores is a little lucky: the fair figure is the one on test.

    Args:
        model: plain and trained; left as it is.
        dataset: to train and to choose on.
        budget_bytes: the longest that the file may be. It never is longer.
        min_accuracy: in its place: what the file must reach on the validation split, in [0, 1].
            The file is the smallest found, in budgets 5 % apart.
        seed: of all that is random.
        epochs: of training after each cut; a recipe of one cut has twice as many.
        teacher: whose answers are learned along with the labels; None for ``model``.
        families: names in ``FAMILIES`` to choose among; None for all.
        watch: called with each recipe as soon as it is measured, for a display; what it raises
            ends the search.

    Raises:
        TypeError, ValueError: an argument is of another kind or out of range; no family reaches the
            budget (the sentence has the smallest size reached) or the accuracy (the best reached).
    """
    if (budget_bytes is None) == (min_accuracy is None):
        got = "none" if budget_bytes is None else "both"
        raise ValueError(
            f"exactly one of budget_bytes and min_accuracy must be given, got {got}. "
            f"Try budget_bytes=10_000."
        )
    epochs, seed = check_count("epochs", epochs), check_count("seed", seed, minimum=0)
    chosen = _chosen(families)
    if budget_bytes is not None:
        budget_bytes = check_count("budget_bytes", budget_bytes)
    else:
        min_accuracy = check_fraction("min_accuracy", min_accuracy, allow_one=True)
    survey = Survey(model, dataset, teacher=teacher, seed=seed, watch=watch)
    accuracy(survey.model, dataset.validation)  # a model that does not fit the data is told so here
    if budget_bytes is not None:
        best = best_within(survey, budget_bytes, epochs=epochs, families=chosen)
    else:
        best = _smallest_reaching(survey, min_accuracy, epochs, chosen)
    return _result(survey, best)


def _smallest_reaching(survey: Survey, wanted: float, epochs: int, families: list[Family]) -> Tried:
    """Return the smallest file that was found to reach ``wanted``: a search over budgets."""
    low = survey.smallest(families)
    gentlest = [survey.size_of(family, family.knobs[0]) for family in families]
    high = max((size for size in gentlest if size < math.inf), default=1)
    best_within(survey, high, epochs=epochs, families=families)
    _check_reached(survey, wanted)
    while _smallest_good(survey, wanted).size_bytes > low * _CLOSE:
        high = _smallest_good(survey, wanted).size_bytes
        middle = math.isqrt(low * high)
        best = best_within(survey, middle, epochs=epochs, families=families)
        if best.scorecard.accuracy.value < wanted:
            low = middle
    return _smallest_good(survey, wanted)


def _good(survey: Survey, wanted: float) -> list[Tried]:
    return [t for t in survey.tried if t.full and t.scorecard.accuracy.value >= wanted]


def _smallest_good(survey: Survey, wanted: float) -> Tried:
    return min(_good(survey, wanted), key=lambda tried: tried.size_bytes)


def _check_reached(survey: Survey, wanted: float) -> None:
    if not _good(survey, wanted):
        best = max(tried.scorecard.accuracy.value for tried in survey.tried if tried.full)
        raise ValueError(
            f"min_accuracy must be at most {format_percent(best, 2)}, the best that was reached on "
            f"the validation split, got {format_percent(wanted, 2)}. Train the model further first."
        )


def _chosen(families: Iterable[str] | None) -> list[Family]:
    if families is None:
        return list(FAMILIES.values())
    if isinstance(families, str):
        raise TypeError(f"families must be a list of names, got {families!r}.")
    names = [check_choice("families", name, tuple(FAMILIES)) for name in families]
    if not names:
        raise ValueError("families must name at least one family, got none.")
    return [FAMILIES[name] for name in names]


def _result(survey: Survey, best: Tried) -> Compressed:
    card = score(survey.model, survey.dataset, into=survey.model, data=best.data, test=True)
    return Compressed(
        model=loaded_back(best.data, survey.model),
        steps=best.steps,
        seed=survey.seed,
        data=best.data,
        scorecard=card,
        tried=survey.tried,
    )

"""Ways to spend a byte budget, each a plan that fits.

    channels                   the knapsack over all output channels: the least predicted loss
    layers, then channels      the knapsack over whole layers; channels get wider with what is left
    one width, then channels   the widest width for all that fits; the same with what is left
    layers                     without the rest
    one width                  without the rest; narrower ones too, which may score better by luck

The first is the best if the predictions hold. The others rest less on them: within a layer, or
not at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice

from lwlab.quantize.mixed.costs import LayerCosts
from lwlab.quantize.mixed.knapsack import Choice, choose
from lwlab.quantize.mixed.plan import BitPlan
from lwlab.quantize.mixed.trial import Trial, Widths

__all__ = ["candidates", "refilled"]

_GAP = 1e-3  # of the search over channels
_ROUNDS = 10  # of writing the file and correcting the estimate

Solver = Callable[[float], tuple[Widths, Choice] | None]
"""From a capacity, in estimated bytes, to widths; None if nothing fits it."""


def candidates(trial: Trial, *, by_channel: bool) -> list[BitPlan]:
    """Return plans that fit the budget, what promises most first.

    Args:
        trial: with a budget that the smallest widths meet.
        by_channel: give channels of one layer different widths.
    """
    layers = _fitting(trial, _by_layer(trial.costs), trial.smallest(), "layers")
    whole = [layers, *_one_width(trial)]
    if not by_channel:
        return [dataclasses.replace(plan, loss_bound=layers.loss_bound) for plan in whole]
    channels = _fitting(trial, _by_channel(trial.costs, {}), trial.smallest(), "channels")
    filled = [_filled(trial, plan, trial.layers) for plan in whole[:2]]
    plans = [channels, *filled, *whole]
    return [dataclasses.replace(plan, loss_bound=channels.loss_bound) for plan in plans]


def refilled(trial: Trial, plan: BitPlan) -> Iterator[BitPlan]:
    """Yield other ways to spend what a plan by whole layers leaves of the budget.

    Channels of one layer alone get wider, or those of all layers but one.
    """
    for free in [{name} for name in trial.layers] + [{*trial.layers} - {n} for n in trial.layers]:
        yield dataclasses.replace(_filled(trial, plan, free), loss_bound=plan.loss_bound)


def _filled(trial: Trial, plan: BitPlan, free: Collection[str]) -> BitPlan:
    """Return a plan by whole layers with wider channels in the layers that are free."""
    solve = _by_channel(trial.costs, plan.bits, free)
    return _fitting(trial, solve, _spread(trial, plan), f"{plan.strategy}, then channels")


def _one_width(trial: Trial) -> list[BitPlan]:
    """Return a plan for each width that fits for all layers, the widest first; maybe none."""
    shared = set.intersection(*(set(cost.bits) for cost in trial.costs))
    uniform = [trial.uniform(num_bits) for num_bits in sorted(shared, reverse=True)]
    fitting = [widths for widths in uniform if trial.size_of(widths) <= trial.target_bytes]
    return [trial.plan_of(widths, "one width", 0.0) for widths in fitting]


def _spread(trial: Trial, plan: BitPlan) -> Widths:
    """Return the widths of a plan by whole layers, channel by channel."""
    return {cost.layer: (plan.bits[cost.layer],) * cost.channels for cost in trial.costs}


def _by_layer(costs: list[LayerCosts]) -> Solver:
    """Return the exact solver in which a layer has one width."""

    def solve(capacity: float) -> tuple[Widths, Choice] | None:
        choice = choose([cost.of_layer() for cost in costs], capacity)
        if choice is None:
            return None
        chosen = zip(costs, choice.options, strict=True)
        return {cost.layer: (cost.bits[i],) * cost.channels for cost, i in chosen}, choice

    return solve


def _by_channel(
    costs: list[LayerCosts], floors: Mapping[str, int], free: Collection[str] = ()
) -> Solver:
    """Return the solver in which each channel has a width of its own.

    Args:
        costs: of the layers.
        floors: the smallest width by layer; none where a layer is not in it.
        free: with floors, the layers that may be wider than theirs.
    """
    allowed = {
        cost.layer: [
            width
            for width in cost.bits
            if cost.layer not in floors
            or width == floors[cost.layer]
            or (width > floors[cost.layer] and cost.layer in free)
        ]
        for cost in costs
    }
    items = [row for cost in costs for row in cost.of_channels(allowed[cost.layer])]

    def solve(capacity: float) -> tuple[Widths, Choice] | None:
        choice = choose(items, capacity, gap=_GAP)
        if choice is None:
            return None
        options, widths = iter(choice.options), {}
        for cost in costs:
            chosen = islice(options, cost.channels)
            widths[cost.layer] = tuple(allowed[cost.layer][i] for i in chosen)
        return widths, choice

    return solve


def _fitting(trial: Trial, solve: Solver, fallback: Widths, strategy: str) -> BitPlan:
    """Solve, write the file, correct the estimate by what it shows, and solve again.

    The estimate misses what belongs to no layer, and what several widths in one layer take. It is
    off by about the same for similar widths: so few rounds are needed. A file above the budget
    makes the capacity smaller than what was chosen, so that the same widths do not come again.

    Args:
        trial: with the budget.
        solve: with estimated bytes as its capacity.
        fallback: widths that fit the budget.
        strategy: for the plan.
    """
    best, best_choice, tried, rounds = fallback, None, set(), 0
    missed = trial.size_of(fallback) - _estimated(trial.costs, fallback)
    while (solved := solve(trial.target_bytes - missed)) is not None:
        widths, choice = solved
        size, rounds = trial.size_of(widths), rounds + 1
        fits = size <= trial.target_bytes
        if fits and (best_choice is None or choice.loss < best_choice.loss):
            best, best_choice = widths, choice
        key = tuple(widths.values())
        if (fits and key in tried) or (best_choice is not None and rounds >= _ROUNDS):
            break
        tried.add(key)
        missed = size - choice.size + (0 if fits else 1e-6)
    return trial.plan_of(best, strategy, best_choice.bound if best_choice else 0.0)


def _estimated(costs: list[LayerCosts], widths: Widths) -> float:
    """Return the bytes of widths as the knapsack counts them."""
    return sum(
        cost.sizes[cost.bits.index(width)] / cost.channels
        for cost in costs
        for width in widths[cost.layer]
    )

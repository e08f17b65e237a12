"""The multiple-choice knapsack: one option for each item, the least loss within a capacity.

    minimize   sum over items of loss(item, option of the item)
    such that  sum over items of size(item, option of the item) <= capacity

Solved by branch and bound (HiGHS through scipy). The linear relaxation, in which an item may take
parts of two options, is a lower bound on what any choice can reach; it splits at most one item, so
with many small items the solution is hardly above it. The search stops at ``gap`` above its bound.

Source: Sinha & Zoltners 1979, "The multiple-choice knapsack problem", Operations Research 27(3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Choice", "Option", "choose"]

# The solver's tolerances are absolute, about 1e-6: losses are brought to a size above them. With
# much larger ones its presolve breaks its own integers, and says so on the standard output.
_SCALE = 1e3


@dataclass(frozen=True)
class Option:
    """One way to treat an item.

    Attributes:
        loss: what it costs; finite, at least 0.
        size: what it takes of the capacity.
    """

    loss: float
    size: float


@dataclass(frozen=True)
class Choice:
    """A solution.

    Attributes:
        options: the index of the option of each item.
        loss: the sum of their losses.
        size: the sum of their sizes.
        bound: no choice within the capacity has a smaller loss than this.
    """

    options: tuple[int, ...]
    loss: float
    size: float
    bound: float


def choose(
    items: Sequence[Sequence[Option]],
    capacity: float,
    *,
    gap: float = 0.0,
    seconds: float = 20.0,
) -> Choice | None:
    """Return the options with the least summed loss within ``capacity``; None if nothing fits.

    >>> keep, cut = Option(0.0, 8), Option(1.0, 2)
    >>> choose([[keep, cut], [keep, Option(5.0, 2)]], 10).options
    (1, 0)

    Args:
        items: the options of each item, at least one.
        capacity: in the units of the sizes.
        gap: stop once the loss is at most this fraction above the bound; 0 proves the optimum, up
            to a millionth of the largest possible loss.
        seconds: stop after this time with the best choice so far, or the smallest one.
    """
    # Imported here: a quarter of a second that only an allocation needs.
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415
    from scipy.sparse import csr_array  # noqa: PLC0415

    losses = np.array([option.loss for row in items for option in row])
    sizes = np.array([option.size for row in items for option in row], float)
    owners = np.repeat(np.arange(len(items)), [len(row) for row in items])
    smallest = tuple(_smallest(row) for row in items)
    if sum(row[i].size for row, i in zip(items, smallest, strict=True)) > capacity:
        return None
    scale = _SCALE / max(float(losses.max()) * len(items), 1e-300)
    one_each = csr_array((np.ones(len(owners)), (owners, np.arange(len(owners)))))
    solution = milp(
        losses * scale,
        integrality=np.ones(len(losses)),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(sizes[None, :], -np.inf, capacity),
        ],
        options={"mip_rel_gap": gap, "time_limit": seconds},
    )
    bound = 0.0 if solution.mip_dual_bound is None else solution.mip_dual_bound / scale
    if solution.x is None:
        return _priced(items, smallest, bound)
    taken = np.flatnonzero(solution.x > 0.5)
    firsts = np.cumsum([0, *(len(row) for row in items[:-1])])
    return _priced(items, tuple(int(i) for i in taken - firsts), bound)


def _smallest(row: Sequence[Option]) -> int:
    """Return the option of the least size, and of those the one with the least loss."""
    return min(range(len(row)), key=lambda index: (row[index].size, row[index].loss))


def _priced(items: Sequence[Sequence[Option]], options: tuple[int, ...], bound: float) -> Choice:
    taken = [row[index] for row, index in zip(items, options, strict=True)]
    loss = sum(option.loss for option in taken)
    return Choice(options, loss, sum(option.size for option in taken), min(max(bound, 0.0), loss))

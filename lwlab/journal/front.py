"""The Pareto front: the tries that no other try beats in both size and accuracy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol, TypeVar

from lwlab.checks import check_choice

__all__ = ["COSTS", "GAINS", "pareto_front"]

COSTS = ("size_bytes", "latency_ms", "seconds")
GAINS = ("accuracy",)


class _Measured(Protocol):
    """What has a cost and a gain."""

    accuracy: float
    size_bytes: int


Point = TypeVar("Point", bound=_Measured)


def pareto_front(
    entries: Iterable[Point], x: str = "size_bytes", y: str = "accuracy"
) -> list[Point]:
    """Return the entries that no other one beats: costs no more, gives no less, and is not equal.

    Only tries of the same model and data set are compared: a smaller network on an easier set beats
    nothing. So entries of several models give several fronts, one after the other, as they first
    come. Of equal points the first is kept.

        front = {a : there is no b with x_b <= x_a, y_b >= y_a and (x_b, y_b) != (x_a, y_a)}

    Args:
        entries: in any order; one whose ``x`` or ``y`` is None is left out.
        x: the cost: ``size_bytes``, ``latency_ms`` or ``seconds``.
        y: the gain: ``accuracy``.

    Returns:
        The front of each model and data set, from the least ``x`` on.

    Raises:
        ValueError: ``x`` or ``y`` is no such name.
    """
    check_choice("x", x, COSTS)
    check_choice("y", y, GAINS)
    groups: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for entry in entries:
        if getattr(entry, x) is not None and getattr(entry, y) is not None:
            groups[getattr(entry, "model", ""), getattr(entry, "dataset", "")].append(entry)
    return [point for group in groups.values() for point in _front(group, x, y)]


def _front(entries: list[Point], x: str, y: str) -> list[Point]:
    """Sort by cost, the best first among equals; keep each that is better than all before it."""
    front: list[Point] = []
    for entry in sorted(entries, key=lambda e: (getattr(e, x), -getattr(e, y))):
        if not front or getattr(entry, y) > getattr(front[-1], y):
            front.append(entry)
    return front

"""The distinct bit patterns of a tensor, where there are few: the table of the palette coding.

A trained float tensor has about as many patterns as elements. That is seen in a sample of a few
hundred, so the search costs such a tensor next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["MOST_PATTERNS", "Patterns", "find_patterns", "sampled_patterns"]

MOST_PATTERNS = 256  # an index fits into a byte
_SAMPLE = 512  # twice as many as there may be patterns


@dataclass(frozen=True, eq=False)
class Patterns:
    """A tensor as a table and indices: ``table[indices]`` are its elements.

    Attributes:
        table: the distinct elements as unsigned numbers, ascending.
        indices: uint8, flat, one per element.
    """

    table: np.ndarray
    indices: np.ndarray


def sampled_patterns(flat: np.ndarray) -> np.ndarray:
    """Return the distinct elements, ascending, of a sample spread evenly over ``flat``."""
    # An odd stride, so that it does not fall in step with sizes, which are mostly even.
    return _distinct(flat[:: max(1, flat.size // _SAMPLE) | 1])


def _distinct(values: np.ndarray) -> np.ndarray:
    # np.unique does the same; for a few hundred values it takes three times as long.
    ordered = np.sort(values)
    first = np.ones(ordered.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def find_patterns(flat: np.ndarray, seen: np.ndarray) -> Patterns | None:
    """Return table and indices of ``flat``, or None if there are more than 256 patterns.

    Args:
        flat: unsigned, one-dimensional.
        seen: ``sampled_patterns(flat)``.
    """
    table = seen
    while len(table) <= MOST_PATTERNS:
        indices = np.zeros(flat.size, np.uint8)
        # One comparison a pattern, each a single pass: faster than a binary search per element.
        for pattern in table[1:]:
            indices += flat >= pattern
        missed = flat[table[indices] != flat]
        if not missed.size:
            return Patterns(table, indices)
        table = _distinct(np.concatenate([table, sampled_patterns(missed)]))
    return None

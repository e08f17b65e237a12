"""Where the elements are that are not zero: a mask as bytes, in one of three ways.

======  =======  ==============================================================================
number  name     n elements, of which k are not zero
======  =======  ==============================================================================
0       -        nothing is said: the zero is a symbol like any other
1       bitmask  one bit each (``bits.py``)
2       gaps     the zeros before each of the k, 1.5 bits a one more than log2 of their mean
3       mask     entropy-coded: rows and columns of different density (``mask_coder.py``)
======  =======  ==============================================================================

The mask is seen as a matrix: what the first axis of the tensor counts are its rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lwlab.packing import mask_coder
from lwlab.packing.bits import bitmask_length, check_bitmask, pack_bits, unpack_bits
from lwlab.packing.errors import Damage
from lwlab.packing.gaps import gaps_length, read_gaps, write_gaps
from lwlab.packing.range_coder import bound_bytes

__all__ = ["NOWHERE", "POSITION_CODERS", "PositionCoder", "best_positions", "matrix_shape"]

NOWHERE = 0  # the number that says that there are no positions
_CHANCE = 1.44  # bits that a row seems to save by chance alone, twice
_STRUCTURED = 0.98  # of the bits are left by rows and columns: then ones lie together, too, and
_TOGETHER = 0.93  # of the bytes are left after that, which is not seen in advance
_LEAST_TRIED, _FULLEST_TRIED = 512, 0.7  # elements, and the share of ones: else they do not pay


@dataclass(frozen=True)
class PositionCoder:
    """One way to write a mask.

    Attributes:
        family: its name in ``CODING_FAMILIES``.
        estimate: ``(mask,)`` -> bytes, near enough to choose by.
        write: ``(mask,)`` -> bytes; the mask is a bool matrix.
        read: ``(data, shape)`` -> flat mask. Raises ``Damage``.
    """

    family: str
    estimate: Callable[[np.ndarray], float]
    write: Callable[[np.ndarray], bytes]
    read: Callable[[memoryview, tuple[int, int]], np.ndarray]


def matrix_shape(shape: tuple[int, ...], count: int) -> tuple[int, int]:
    """Return (rows, columns) of a tensor that is not empty: (16, 75) for (16, 3, 5, 5)."""
    rows = shape[0] if len(shape) > 1 else 1
    return rows, count // rows


def _read_bitmask(data: memoryview, shape: tuple[int, int]) -> np.ndarray:
    count = shape[0] * shape[1]
    if len(data) != bitmask_length(count):
        raise Damage(f"its bitmask has {len(data)} bytes where it needs {bitmask_length(count)}")
    check_bitmask(data, count)
    return unpack_bits(data, count)


def _mask_length(mask: np.ndarray) -> float:
    """Return about the bytes of the mask coder, or too few: then it is tried, and not taken.

    From how full rows and columns are, and from groups of 8 (where 2 of 4 are kept, they show it).
    Faster than ``mask_coder.estimate_mask_bytes``, which goes through all elements. Where neither
    shows anything, the mask is as good as drawn by lot, and is not tried.
    """
    total = _entropy(mask.size, np.array([np.count_nonzero(mask)]))
    bits = total
    for axis, length in enumerate(mask.shape):
        ones = np.count_nonzero(mask, axis=axis)
        bits -= max(total - _entropy(length, ones) - _CHANCE * ones.size, 0)
    if mask.size < _LEAST_TRIED or np.count_nonzero(mask) > mask.size * _FULLEST_TRIED:
        return 2 + max(bits, 0) / 8
    if bits < _STRUCTURED * total:
        bits *= _TOGETHER
    groups = np.bincount(np.packbits(mask))
    learning = np.count_nonzero(groups) * math.log2(mask.size) / 16
    return 2 + min(max(bits, 0) / 8, bound_bytes(groups) + learning)


def _entropy(length: int, ones: np.ndarray) -> float:
    """Return ``length * H`` summed over lines of so many ones each, in bits."""
    share = np.clip(ones / length, 1e-12, 1 - 1e-12)
    return -length * float((share * np.log2(share) + (1 - share) * np.log2(1 - share)).sum())


POSITION_CODERS: dict[int, PositionCoder] = {  # the numbers are those in files
    1: PositionCoder(
        "bitmask",
        lambda mask: bitmask_length(mask.size),
        lambda mask: pack_bits(mask).tobytes(),
        _read_bitmask,
    ),
    2: PositionCoder(
        "gaps",
        gaps_length,
        write_gaps,
        lambda data, shape: read_gaps(data, shape[0] * shape[1]),
    ),
    3: PositionCoder(
        "mask",
        _mask_length,
        mask_coder.encode_mask,
        lambda data, shape: mask_coder.decode_mask(data, shape).reshape(-1),
    ),
}


def best_positions(mask: np.ndarray, families: frozenset[str]) -> tuple[int, float] | None:
    """Return the number and about the length of the shortest way, or None if none is allowed.

    Args:
        mask: a bool matrix.
        families: names of those that may be used.
    """
    lengths = [
        (number, coder.estimate(mask))
        for number, coder in POSITION_CODERS.items()
        if coder.family in families
    ]
    return min(lengths, key=lambda pair: pair[1], default=None)

"""float32 bits as float16 bits, and back: only where no bit is lost.

float16 has 1 sign bit, 5 bits of exponent and 10 of fraction; float32 has 1, 8 and 23. So 0.5, 1.0
and 0.333251953125 are in both, and the 1/3 of float32 is not.
"""

from __future__ import annotations

import numpy as np

__all__ = ["FLOAT16_BYTES", "narrowed", "widened"]

FLOAT16_BYTES = 2
_SAMPLE = 256


def narrowed(bits: np.ndarray) -> np.ndarray | None:
    """Return float32 bits as float16 bits, or None where a value would change.

    A NaN is left alone: what becomes of its spare bits depends on the processor.

    Args:
        bits: unsigned, four bytes each, flat.
    """
    step = bits.size // _SAMPLE
    if step > 1 and _narrowed(bits[::step]) is None:  # seen quickly for trained weights
        return None
    return _narrowed(bits)


def _narrowed(bits: np.ndarray) -> np.ndarray | None:
    values = np.ascontiguousarray(bits).view("<f4")
    with np.errstate(over="ignore"):
        halves = values.astype("<f2")
    same = np.array_equal(halves.astype("<f4").view("<u4"), values.view("<u4"))
    return halves.view("<u2") if same and not np.isnan(values).any() else None


def widened(halves: np.ndarray) -> np.ndarray:
    """Return float16 bits as float32 bits: exact."""
    return halves.view("<f2").astype("<f4").view("<u4")

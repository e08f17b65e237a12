"""Bitmasks: one bit per element, eight to a byte.

Element ``i`` is bit ``i % 8`` (1 = lowest) of byte ``i // 8``; the unused bits of the last byte are
zero. The mask ``1 0 1 1 0 0 0 0  1`` is the bytes ``0d 01``.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.errors import Damage

__all__ = ["bitmask_length", "check_bitmask", "count_ones", "pack_bits", "unpack_bits"]


def bitmask_length(count: int) -> int:
    """Return the bytes that a bitmask of ``count`` elements takes."""
    return (count + 7) // 8


def pack_bits(mask: np.ndarray) -> np.ndarray:
    """Return a bool array as a bitmask: uint8, ``bitmask_length(mask.size)`` bytes."""
    return np.packbits(mask.reshape(-1), bitorder="little")


def unpack_bits(bitmask: memoryview, count: int) -> np.ndarray:
    """Return the first ``count`` bits as a flat bool array."""
    packed = np.frombuffer(bitmask, np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)


def count_ones(bitmask: memoryview) -> int:
    """Return how many bits are set."""
    return int.from_bytes(bitmask, "little").bit_count()


def check_bitmask(bitmask: memoryview, count: int) -> None:
    """Check that the bits after the last element are zero.

    Raises:
        Damage: one is set.
    """
    if count % 8 and bitmask[-1] >> count % 8:
        raise Damage("a bitmask has bits set after its last element")

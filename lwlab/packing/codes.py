"""Small whole numbers, as many bits each as they need, one right after the other.

Code ``i`` of ``width`` bits takes the bits ``i * width`` to ``(i + 1) * width - 1``, its lowest
first; bit ``j`` is bit ``j % 8`` (1 = lowest) of byte ``j // 8``, as in a bitmask. Unused bits of
the last byte are zero. The codes 1, 2 and 3 with 3 bits each::

    code           1      2      3
    bits       1 0 0  0 1 0  1 1 0      lowest first
    bytes      1 0 0 0 1 0 1 1  0       0b11010001, 0b0: d1 00

Eight codes of ``width`` bits fill ``width`` bytes, whatever the width. So eight codes at a time are
put into one 64-bit number, of which the lowest ``width`` bytes are kept.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.errors import Damage

__all__ = ["check_codes", "codes_length", "pack_codes", "unpack_codes"]

_AT_ONCE = 8


def codes_length(count: int, width: int) -> int:
    """Return the bytes that ``count`` codes of ``width`` bits take."""
    return (count * width + 7) // 8


def pack_codes(codes: np.ndarray, width: int) -> np.ndarray:
    """Return flat codes as bytes: uint8, ``codes_length(codes.size, width)`` of them.

    Args:
        codes: uint8, each below 2**width.
        width: 0 to 8.
    """
    if width == 0:
        return np.zeros(0, np.uint8)
    if width == 8:
        return codes.astype(np.uint8, copy=False)
    eights = np.zeros((-(-codes.size // _AT_ONCE), _AT_ONCE), np.uint8)
    eights.reshape(-1)[: codes.size] = codes
    words = np.zeros(len(eights), "<u8")
    for place in range(_AT_ONCE):
        words |= eights[:, place].astype("<u8") << np.uint64(place * width)
    kept = np.ascontiguousarray(words.view(np.uint8).reshape(-1, 8)[:, :width])
    return kept.reshape(-1)[: codes_length(codes.size, width)]


def unpack_codes(packed: memoryview | bytes, count: int, width: int) -> np.ndarray:
    """Return ``count`` codes of ``width`` bits: uint8, flat, writable."""
    given = np.frombuffer(packed, np.uint8)
    if width == 8:
        return given.copy()
    length = -(-count // _AT_ONCE)
    padded = np.zeros(length * width, np.uint8)
    padded[: given.size] = given
    wide = np.zeros((length, 8), np.uint8)
    wide[:, :width] = padded.reshape(length, width)
    words = wide.view("<u8")[:, 0]
    codes = np.empty((length, _AT_ONCE), np.uint8)
    for place in range(_AT_ONCE):
        codes[:, place] = words >> np.uint64(place * width) & np.uint64(2**width - 1)
    return codes.reshape(-1)[:count]


def check_codes(packed: memoryview, count: int, width: int) -> None:
    """Check that the bits after the last code are zero.

    Args:
        packed: ``codes_length(count, width)`` bytes.
        count: number of codes.
        width: bits of each.

    Raises:
        Damage: one is set.
    """
    used = count * width % 8
    if used and packed[-1] >> used:
        raise Damage("its codes have bits set after the last one")

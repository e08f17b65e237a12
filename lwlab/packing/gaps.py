r"""Gaps: where the ones of a mask are, as the number of zeros before each.

The mask ``0 0 0 1 1 0 0 0 0 0 1`` has the gaps 3, 0 and 5. Most gaps are short, so each is cut in
two (Rice coding): its lowest r bits are written as they are, and the rest, ``gap >> r``, as that
many zeros and a one. For r = 1::

    gap          3    0    5
    lowest bit   1    0    1
    rest         1    0    2
    written      01   1    001

In the file all lowest bits come first, then all the rest, so that both are read at once::

    varint   k, the number of ones
    1 byte   r, 0 to 8
    codes    the lowest r bits of each gap, packed as in codes.py
    bits     the rest, a bitmask of k ones of which the last is the last bit

With ones at random, a fraction p of all, the mean gap is (1 - p) / p, and the best r makes both
parts about as long: Gallager and van Voorhis, "Optimal source codes for geometrically distributed
integer alphabets", 1975. It takes 0.03 to 0.05 bits a one more than the entropy.
"""

from __future__ import annotations

import math

import numpy as np

from lwlab.packing.bits import bitmask_length, count_ones, pack_bits, unpack_bits
from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.errors import Damage
from lwlab.packing.varint import Reader, varint

__all__ = ["gaps_length", "read_gaps", "write_gaps"]

_MOST_LOW_BITS = 8  # what codes.py packs


def gaps_length(mask: np.ndarray) -> int:
    """Return the bytes of ``write_gaps(mask)``: nothing is packed."""
    gaps = _gaps(mask)
    low_bits = _low_bits(gaps)
    rest = int((gaps >> low_bits).sum()) + gaps.size
    return len(varint(gaps.size)) + 1 + codes_length(gaps.size, low_bits) + bitmask_length(rest)


def write_gaps(mask: np.ndarray) -> bytes:
    """Return the ones of a flat bool array as gaps."""
    gaps = _gaps(mask)
    low_bits = _low_bits(gaps)
    lowest = (gaps & (1 << low_bits) - 1).astype(np.uint8)
    ends = np.cumsum((gaps >> low_bits) + 1)
    rest = np.zeros(int(ends[-1]) if gaps.size else 0, np.bool_)
    rest[ends - 1] = True
    head = varint(gaps.size) + bytes([low_bits])
    return head + pack_codes(lowest, low_bits).tobytes() + pack_bits(rest).tobytes()


def read_gaps(data: memoryview, count: int) -> np.ndarray:
    """Return the flat mask of ``count`` elements whose ones ``data`` says.

    Takes memory for ``count`` elements, and time in proportion to them.

    Raises:
        Damage: the bytes make no sense for so many elements.
    """
    reader = Reader(data)
    ones, low_bits = reader.varint("number of gaps", count), reader.byte()
    if low_bits > _MOST_LOW_BITS:
        raise Damage(f"its gaps have {low_bits} low bits, above the limit of {_MOST_LOW_BITS}")
    lowest = reader.take(codes_length(ones, low_bits))
    check_codes(lowest, ones, low_bits)
    mask = np.zeros(count, np.bool_)
    places = np.cumsum(_read_rest(reader.take(reader.left), ones) << low_bits, dtype=np.int64)
    if ones:
        places += np.cumsum(unpack_codes(lowest, ones, low_bits), dtype=np.int64)
        places += np.arange(ones)
        if places[-1] >= count:
            raise Damage(f"its gaps lead to element {places[-1]} of {count}")
        mask[places] = True
    return mask


def _read_rest(data: memoryview, ones: int) -> np.ndarray:
    """Return ``gap >> r`` of each gap."""
    ends_last = not data or bool(data[-1])
    if count_ones(data) != ones or not ends_last:
        raise Damage(f"its gaps do not end at the last of {ones} ones")
    ends = np.flatnonzero(unpack_bits(data, 8 * len(data)))
    return np.diff(ends, prepend=-1) - 1


def _gaps(mask: np.ndarray) -> np.ndarray:
    return np.diff(np.flatnonzero(mask), prepend=-1) - 1


def _low_bits(gaps: np.ndarray) -> int:
    """Return the best r for gaps of this mean, near enough: floor(log2(ln 2 * mean)) + 1."""
    mean = float(gaps.mean()) if gaps.size else 0.0
    best = math.floor(math.log2(math.log(2) * mean)) + 1 if mean > 1 else 0
    return min(max(best, 0), _MOST_LOW_BITS)

"""Canonical Huffman codes: frequent symbols get few bits, rare ones get more.

Take the symbols a, b, c and d, seen 5, 2, 1 and 1 times. Merge the two rarest into a group, again
and again, until one group is left; each merge makes the codes of its members one bit longer::

    c 1 + d 1 -> cd 2        b 2 + cd 2 -> bcd 4        a 5 + bcd 4 -> all 9
    lengths   a 1   b 2   c 3   d 3      so 5 * 1 + 2 * 2 + 1 * 3 + 1 * 3 = 15 bits for 9 symbols

Shannon's bound, the entropy, is 14.6 bits here; two bits each would be 18. No code that gives each
symbol a whole number of bits is shorter (D. A. Huffman, "A method for the construction of
minimum-redundancy codes", 1952).

Only the lengths need to be stored: *canonical* codes count upwards, first the shortest, in the
order of the symbols, so that reader and writer make the same ones::

    a 0      b 10      c 110      d 111

In the bytes the first bit of a code comes first, lowest bit of a byte first (as in ``bits.py``):
``a b c`` is 0 10 110, the byte ``0b00011010``.
"""

from __future__ import annotations

import heapq

import numpy as np

from lwlab.packing.bits import pack_bits, unpack_bits
from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.errors import Damage
from lwlab.packing.varint import Reader

__all__ = [
    "LONGEST",
    "canonical_codes",
    "code_lengths",
    "decode",
    "encode",
    "read_lengths",
    "write_lengths",
]

LONGEST = 24  # bits of a code at most: a reader looks at so many at once
_BITS_AT_ONCE = 1 << 20  # a reader takes so many bits at a time, so that its memory is bounded


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Return how many bits the code of each symbol has, by Huffman's algorithm.

    Args:
        counts: whole numbers, (k,), k up to 256: how often each symbol occurs.

    Returns:
        uint8, (k,): 0 where the count is 0; a symbol that is alone gets 1. At most 24: where rare
        symbols would get more, all counts are halved (rounded up) until it fits.
    """
    lengths = _merged([int(count) for count in counts])
    while max(lengths, default=0) > LONGEST:
        counts = (np.asarray(counts) + 1) // 2
        lengths = _merged([int(count) for count in counts])
    return np.array(lengths, np.uint8)


def _merged(counts: list[int]) -> list[int]:
    lengths = [0] * len(counts)
    # The second number only decides ties: the group that was there first is merged first.
    groups = [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    if len(groups) == 1:
        lengths[groups[0][1]] = 1
    heapq.heapify(groups)
    number = len(counts)
    while len(groups) > 1:
        (count, _, members), (other_count, _, others) = heapq.heappop(groups), heapq.heappop(groups)
        members = members + others
        for symbol in members:
            lengths[symbol] += 1
        heapq.heappush(groups, (count + other_count, number, members))
        number += 1
    return lengths


def canonical_codes(lengths: np.ndarray) -> np.ndarray:
    """Return the code of each symbol as a number; its first bit is the highest of ``lengths[i]``.

    Args:
        lengths: uint8, (k,): bits of each code, 0 for a symbol without one.

    Returns:
        uint32, (k,): 0 for a symbol without a code.
    """
    codes = np.zeros(len(lengths), np.uint32)
    code, previous = 0, 0
    for symbol in _by_length(lengths):
        code <<= int(lengths[symbol]) - previous  # a longer code goes on with zeros
        codes[symbol], previous = code, int(lengths[symbol])
        code += 1
    return codes


def _by_length(lengths: np.ndarray) -> np.ndarray:
    """Return the symbols that have a code, shortest codes first, else in their order."""
    order = np.argsort(lengths, kind="stable")
    return order[lengths[order] > 0]


def encode(symbols: np.ndarray, lengths: np.ndarray) -> bytes:
    """Return the codes of ``symbols``, one right after the other; unused bits at the end are 0.

    Args:
        symbols: uint8, flat; each has a code.
        lengths: uint8, (k,): bits of each symbol's code, from ``code_lengths``.
    """
    codes, own_lengths = canonical_codes(lengths)[symbols], lengths[symbols]
    ends = np.cumsum(own_lengths, dtype=np.int64)
    bits = np.zeros(int(ends[-1]) if ends.size else 0, np.bool_)
    # The last bit of all codes, then the last but one of those that have two, and so on.
    for place in range(int(lengths.max(initial=0))):
        bits[ends - 1 - place] = codes & 1
        longer = own_lengths > place + 1
        codes, own_lengths, ends = codes[longer] >> 1, own_lengths[longer], ends[longer]
    return pack_bits(bits).tobytes()


def decode(data: memoryview | bytes, count: int, lengths: np.ndarray) -> np.ndarray:
    """Return the ``count`` symbols whose codes are in ``data``.

    Args:
        data: what ``encode`` made.
        count: number of symbols.
        lengths: uint8, (k,): bits of each symbol's code.

    Returns:
        uint8, (count,).

    Raises:
        Damage: the lengths are those of no code, or the data are not ``count`` codes and nothing
            after them.
    """
    _check_lengths(lengths, count)
    order = _by_length(lengths)
    longest = int(lengths.max(initial=0))
    # All codes with zeros added up to the longest: in the order of ``order`` they count upwards, so
    # that the next bits belong to the last of them that is not larger.
    starts = canonical_codes(lengths)[order].astype(np.int64) << longest - lengths[order]
    bits = np.zeros(8 * len(data) + longest, np.uint8)
    bits[: 8 * len(data)] = unpack_bits(data, 8 * len(data))
    found, place = [], 0
    while count and place < 8 * len(data):
        part = bits[place : place + _BITS_AT_ONCE + longest]
        which = np.searchsorted(starts, _windows(part, longest), side="right") - 1
        places, after = _hop(lengths[order][which], count)
        found.append(order[which[places]])
        count, place = count - len(places), place + after
    _check_end(data, count, place)
    symbols = np.concatenate(found).astype(np.uint8) if found else np.zeros(0, np.uint8)
    _check_single(bits, lengths)
    return symbols


def _windows(bits: np.ndarray, length: int) -> np.ndarray:
    """Return, for each place but the last ones, the number that its next ``length`` bits are."""
    windows = np.zeros(len(bits) - length, np.int64)
    for place in range(length):
        windows = windows << 1 | bits[place : place + len(windows)]
    return windows


def _hop(steps: np.ndarray, most: int) -> tuple[list[int], int]:
    """Return the places from 0 on, each its step after the one before, and the place after them."""
    places, place, steps = [], 0, steps.tolist()
    while place < len(steps) and len(places) < most:
        places.append(place)
        place += steps[place]
    return places, place


def _check_end(data: memoryview | bytes, missing: int, used: int) -> None:
    if missing or used > 8 * len(data):
        raise Damage("its Huffman codes are cut off")
    if len(data) > (used + 7) // 8 or (used % 8 and data[-1] >> used % 8):
        raise Damage("its Huffman codes are followed by something else")


def _check_single(bits: np.ndarray, lengths: np.ndarray) -> None:
    """Check that a symbol that is alone has the code 0: 1 belongs to none."""
    if np.count_nonzero(lengths) == 1 and bits.any():
        raise Damage("its Huffman codes have one that no symbol has")


def _check_lengths(lengths: np.ndarray, count: int) -> None:
    """Check Kraft's equality: the sum of 2**-length is 1, or 1/2 for a symbol that is alone."""
    used = lengths[lengths > 0].astype(np.int64)
    if used.max(initial=0) > LONGEST:
        raise Damage(f"its Huffman codes have up to {used.max()} bits, above {LONGEST}")
    total = int((1 << LONGEST - used).sum())
    alone = used.size == 1 and used[0] == 1
    nothing = used.size == 0 and count == 0
    if not (total == 1 << LONGEST or alone or nothing):
        raise Damage("its Huffman codes have lengths that do not fit together")


def write_lengths(lengths: np.ndarray) -> bytes:
    """Return the table of lengths: a byte, a bit for each symbol, and the lengths that are not 0.

    The byte is the longest length m. The bits are packed as in ``bits.py``; then ``length - 1`` of
    each symbol whose bit is set, in as many bits as m - 1 has, packed as in ``codes.py``.
    """
    used, longest = lengths > 0, int(lengths.max(initial=0))
    width = max(longest - 1, 0).bit_length()
    packed = pack_codes((lengths[used] - 1).astype(np.uint8), width)
    return bytes([longest]) + pack_bits(used).tobytes() + packed.tobytes()


def read_lengths(reader: Reader, alphabet: int) -> np.ndarray:
    """Return the lengths at the reader's place, for ``alphabet`` symbols: uint8, (alphabet,).

    Raises:
        Damage: they are cut off, or not the shortest form.
    """
    longest = reader.byte()
    if longest > LONGEST:
        raise Damage(f"its Huffman codes have up to {longest} bits, above {LONGEST}")
    mask = reader.take(codes_length(alphabet, 1))
    check_codes(mask, alphabet, 1)
    used = unpack_bits(mask, alphabet)
    width, count = max(longest - 1, 0).bit_length(), int(used.sum())
    packed = reader.take(codes_length(count, width))
    check_codes(packed, count, width)
    lengths = np.zeros(alphabet, np.uint8)
    lengths[used] = unpack_codes(packed, count, width) + 1
    if lengths.max(initial=0) != longest:
        raise Damage("its Huffman codes have lengths that do not fit together")
    return lengths

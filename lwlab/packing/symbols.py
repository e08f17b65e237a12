"""Symbols, whole numbers from 0 to k - 1, as bytes: three ways, from plain to tight.

======  =======  ==============================================================================
number  name     n symbols, of which symbol s occurs ``counts[s]`` times
======  =======  ==============================================================================
0       packed   ceil(log2 k) bits each (``codes.py``)
1       huffman  a table of code lengths, then a whole number of bits each (``huffman.py``)
2       range    about ``-log2(counts[s] / n)`` bits each, no table (``range_coder.py``)
======  =======  ==============================================================================

Where there is only one symbol, k = 1, nothing is written in any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lwlab.packing import huffman, range_coder
from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.errors import Damage
from lwlab.packing.varint import Reader

__all__ = ["PACKED", "SYMBOL_CODERS", "SymbolCoder", "shortest"]
PACKED = 0
_LEARNED = 0.6  # the range coder guesses counts from those of the symbols around


@dataclass(frozen=True)
class SymbolCoder:
    """One way to write symbols.

    Attributes:
        family: its name in ``CODING_FAMILIES``; empty for the one that is always allowed.
        estimate: ``(symbols, counts)`` -> its length in bytes, near enough to choose by.
        write: ``(symbols, k)`` -> bytes.
        read: ``(data, count, k)`` -> uint8, flat. Raises ``Damage``.
    """

    family: str
    estimate: Callable[[np.ndarray, np.ndarray], float]
    write: Callable[[np.ndarray, int], bytes]
    read: Callable[[memoryview, int, int], np.ndarray]


def _width(size: int) -> int:
    """Return the bits of a packed symbol: ceil(log2 size)."""
    return (size - 1).bit_length()


def _packed_length(symbols: np.ndarray, counts: np.ndarray) -> float:
    return codes_length(symbols.size, _width(len(counts)))


def _write_packed(symbols: np.ndarray, size: int) -> bytes:
    return pack_codes(symbols, _width(size)).tobytes()


def _read_packed(data: memoryview, count: int, size: int) -> np.ndarray:
    width = _width(size)
    if len(data) != codes_length(count, width):
        raise Damage(
            f"it has {len(data)} bytes of symbols where it needs {codes_length(count, width)}"
        )
    check_codes(data, count, width)
    symbols = unpack_codes(data, count, width)
    if count and symbols.max() >= size:
        raise Damage(f"it has the symbol {symbols.max()} of {size}")
    return symbols


def _huffman_length(symbols: np.ndarray, counts: np.ndarray) -> float:
    lengths = huffman.code_lengths(counts)
    bits = int(counts @ lengths.astype(np.int64))
    return len(huffman.write_lengths(lengths)) + (bits + 7) // 8


def _write_huffman(symbols: np.ndarray, size: int) -> bytes:
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=size))
    return huffman.write_lengths(lengths) + huffman.encode(symbols, lengths)


def _read_huffman(data: memoryview, count: int, size: int) -> np.ndarray:
    reader = Reader(data)
    lengths = huffman.read_lengths(reader, size)
    return huffman.decode(reader.take(reader.left), count, lengths)


def _range_length(symbols: np.ndarray, counts: np.ndarray) -> float:
    # Faster than range_coder.estimate_bytes, which goes through all blocks. To learn how frequent a
    # symbol is takes about half the logarithm of its count in bits.
    learning = float(np.log2(counts[counts > 0] + 1.0).sum()) / 2
    return 2 + range_coder.bound_bytes(counts) + _LEARNED * learning / 8


SYMBOL_CODERS: dict[int, SymbolCoder] = {  # the numbers are those in files
    PACKED: SymbolCoder("", _packed_length, _write_packed, _read_packed),
    1: SymbolCoder("huffman", _huffman_length, _write_huffman, _read_huffman),
    2: SymbolCoder("range", _range_length, range_coder.encode_symbols, range_coder.decode_symbols),
}


def shortest(
    symbols: np.ndarray, counts: np.ndarray, families: frozenset[str], below: float
) -> tuple[int, float] | None:
    """Return the number and about the length in bytes of the coder that needs the fewest.

    Args:
        symbols: uint8, flat.
        counts: how often each occurs, (k,).
        families: names of the coders that may be used, beside packed.
        below: what is not below it, in bytes, is not worked out; None if nothing is.
    """
    bound, best = range_coder.bound_bytes(counts), None
    for number, coder in SYMBOL_CODERS.items():
        allowed = not coder.family or coder.family in families
        if not allowed or bound >= below:  # seen at once for even codes: no coder beats the bound
            continue
        length = coder.estimate(symbols, counts)
        if length < below:
            best, below = (number, length), length
    return best

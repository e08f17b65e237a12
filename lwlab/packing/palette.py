"""Palette coding: a table of the distinct bit patterns, and for each element its index there.

For n elements of b bytes with k patterns, at most 256, it takes ``1 + k * b`` bytes for the table
and ``ceil(n * w / 8)`` for the indices, of w = ceil(log2 k) bits. It asks nothing of the values:
codebooks, binary and ternary weights, flags and small whole numbers all shrink.

The sparse kind is for pruned tensors: one bit per element says whether it is non-zero, and the
table and the indices are those of the non-zero ones. With 90 % zeros and 16 other values it takes
1 + 0.1 * 4 bits an element, where the plain kind, with 17 patterns, takes 5.

One pattern alone needs no bits for its index, and so would let a few bytes of a file ask for any
amount of memory. Above 1,024 elements it takes 1 bit.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.bits import bitmask_length, check_bitmask, count_ones, pack_bits, unpack_bits
from lwlab.packing.bound import bound_of_codes
from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.coding import Coding, Content, Parts
from lwlab.packing.errors import Damage
from lwlab.packing.patterns import MOST_PATTERNS
from lwlab.packing.tensors import TensorSpec

__all__ = ["PALETTE", "SPARSE_PALETTE"]

_MOST_WITHOUT_BITS = 1024


def _width(patterns: int, count: int) -> int:
    """Return the bits of an index: ceil(log2 patterns), for one pattern see above."""
    if patterns == 1 and count > _MOST_WITHOUT_BITS:
        return 1
    return (patterns - 1).bit_length()


def _sparse_width(patterns: int) -> int:
    return (patterns - 1).bit_length()  # the bitmask bounds the elements


def _table_length(patterns: int, item_bytes: int) -> int:
    return 1 + patterns * item_bytes


def _encode(content: Content, below: int) -> Parts | None:
    count, item_bytes = content.flat.size, content.flat.itemsize
    if _table_length(1, item_bytes) >= below:
        return None
    seen = len(content.sampled)
    least = _table_length(seen, item_bytes) + codes_length(count, _width(seen, count))
    if not 1 <= seen <= MOST_PATTERNS or least >= below or content.patterns is None:
        return None
    table, indices = content.patterns.table, content.patterns.indices
    width = _width(len(table), count)
    if _table_length(len(table), item_bytes) + codes_length(count, width) >= below:
        return None
    return Parts(codebook=_written(table), values=pack_codes(indices, width))


def _encode_sparse(content: Content, below: int) -> Parts | None:
    count, item_bytes, nonzero = content.flat.size, content.flat.itemsize, content.nonzero
    # Without zeros the plain kind is smaller; without anything else the bitmask alone is.
    if not 0 < nonzero < count or _table_length(1, item_bytes) + bitmask_length(count) >= below:
        return None
    seen = int(np.count_nonzero(content.sampled))
    least = _table_length(seen, item_bytes) + bitmask_length(count)
    least += codes_length(nonzero, _sparse_width(max(seen, 1)))
    if seen > MOST_PATTERNS or least >= below or content.patterns is None:
        return None
    mask = content.flat != 0
    table = content.patterns.table[1:]  # ascending, so the zero is first
    width = _sparse_width(len(table))
    values_bytes = codes_length(nonzero, width)
    if _table_length(len(table), item_bytes) + bitmask_length(count) + values_bytes >= below:
        return None
    indices = content.patterns.indices[mask] - np.uint8(1)
    return Parts(
        codebook=_written(table), positions=pack_bits(mask), values=pack_codes(indices, width)
    )


def _written(table: np.ndarray) -> bytes:
    return bytes([len(table) - 1]) + table.tobytes()


def _split(payload: memoryview, spec: TensorSpec) -> Parts:
    codebook, left = _split_table(payload, spec)
    patterns = codebook[0] + 1
    _check_indices(left, spec.count, _width(patterns, spec.count), spec)
    return Parts(codebook=codebook, values=left)


def _split_sparse(payload: memoryview, spec: TensorSpec) -> Parts:
    codebook, left = _split_table(payload, spec)
    length = bitmask_length(spec.count)
    if length > len(left):
        raise Damage(f"{spec.name!r} has {len(left)} bytes, too few for its bitmask")
    positions, values = left[:length], left[length:]
    check_bitmask(positions, spec.count)
    _check_indices(values, count_ones(positions), _sparse_width(codebook[0] + 1), spec)
    return Parts(codebook=codebook, positions=positions, values=values)


def _split_table(payload: memoryview, spec: TensorSpec) -> tuple[memoryview, memoryview]:
    length = _table_length(payload[0] + 1, spec.stored.item_bytes) if len(payload) else 1
    if length > len(payload):
        raise Damage(f"{spec.name!r} has {len(payload)} bytes, too few for its table")
    return payload[:length], payload[length:]


def _check_indices(values: memoryview, count: int, width: int, spec: TensorSpec) -> None:
    if len(values) != codes_length(count, width):
        raise Damage(
            f"{spec.name!r} has {len(values)} bytes of indices where it needs "
            f"{codes_length(count, width)}"
        )
    check_codes(values, count, width)


def _decode(parts: Parts, spec: TensorSpec) -> np.ndarray:
    return _table(parts, spec)[_indices(parts, spec)]


def _decode_sparse(parts: Parts, spec: TensorSpec) -> np.ndarray:
    table = np.concatenate([np.zeros(1, spec.stored.bits), _table(parts, spec)])
    return table[_sparse_indices(parts, spec)]


def _table(parts: Parts, spec: TensorSpec) -> np.ndarray:
    return np.frombuffer(parts.codebook[1:], spec.stored.bits)


def _indices(parts: Parts, spec: TensorSpec) -> np.ndarray:
    patterns = parts.codebook[0] + 1
    return _unpacked(parts.values, spec.count, _width(patterns, spec.count), patterns, spec)


def _sparse_indices(parts: Parts, spec: TensorSpec) -> np.ndarray:
    """Return 0 for a zero, else the index in the table and 1."""
    patterns, mask = parts.codebook[0] + 1, unpack_bits(parts.positions, spec.count)
    indices = np.zeros(spec.count, np.uint16)
    nonzero = int(np.count_nonzero(mask))
    indices[mask] = _unpacked(parts.values, nonzero, _sparse_width(patterns), patterns, spec)
    indices += mask
    return indices


def _bound(parts: Parts, spec: TensorSpec) -> float:
    return bound_of_codes(_indices(parts, spec))


def _bound_sparse(parts: Parts, spec: TensorSpec) -> float:
    return bound_of_codes(_sparse_indices(parts, spec))


def _unpacked(
    values: memoryview, count: int, width: int, patterns: int, spec: TensorSpec
) -> np.ndarray:
    indices = unpack_codes(values, count, width)
    if count and indices.max() >= patterns:
        raise Damage(f"{spec.name!r} has an index of {indices.max()} into {patterns} values")
    return indices


PALETTE = Coding(
    "palette", _encode, _split, _decode, _bound, since=2, families=frozenset({"palette"})
)
SPARSE_PALETTE = Coding(
    "sparse palette",
    _encode_sparse,
    _split_sparse,
    _decode_sparse,
    _bound_sparse,
    since=2,
    families=frozenset({"palette", "bitmask"}),
)

"""Bitmask coding: one bit per element says whether it is non-zero, then the non-zero ones.

For n elements of b bytes, k of them non-zero, it takes ``ceil(n / 8) + k * b`` bytes against the
``n * b`` of the dense coding: for float32 it wins as soon as about 1 element in 32 is zero.

"Zero" is the bit pattern of all zeros. -0.0 has its sign bit set: it is stored as a value, and
comes back as -0.0.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.bits import (
    bitmask_length,
    check_bitmask,
    count_ones,
    pack_bits,
    unpack_bits,
)
from lwlab.packing.bound import bound_of_elements
from lwlab.packing.coding import Coding, Content, Parts
from lwlab.packing.errors import Damage
from lwlab.packing.tensors import TensorSpec

__all__ = ["BITMASK"]


def _encode(content: Content, below: int) -> Parts | None:
    flat = content.flat
    if bitmask_length(flat.size) + content.nonzero * flat.itemsize >= below:
        return None
    mask = flat != 0
    return Parts(positions=pack_bits(mask), values=flat[mask].view(np.uint8))


def _split(payload: memoryview, spec: TensorSpec) -> Parts:
    length = bitmask_length(spec.count)
    if length > len(payload):
        raise Damage(f"{spec.name!r} has {len(payload)} bytes, too few for its bitmask")
    positions, values = payload[:length], payload[length:]
    check_bitmask(positions, spec.count)
    nonzero = count_ones(positions)
    if len(values) != nonzero * spec.stored.item_bytes:
        raise Damage(
            f"{spec.name!r} has {len(values)} bytes of values for {nonzero} non-zero elements"
        )
    return Parts(positions=positions, values=values)


def _decode(parts: Parts, spec: TensorSpec) -> np.ndarray:
    bits = np.zeros(spec.count, spec.stored.bits)
    bits[unpack_bits(parts.positions, spec.count)] = np.frombuffer(parts.values, bits.dtype)
    return bits


def _bound(parts: Parts, spec: TensorSpec) -> float:
    return bound_of_elements(np.frombuffer(parts.values, spec.stored.bits), spec.count)


BITMASK = Coding("bitmask", _encode, _split, _decode, _bound, families=frozenset({"bitmask"}))

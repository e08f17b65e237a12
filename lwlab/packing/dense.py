"""Dense coding: every element, one after another in C order, little-endian."""

from __future__ import annotations

import numpy as np

from lwlab.packing.bound import bound_of_elements
from lwlab.packing.coding import Coding, Content, Parts
from lwlab.packing.errors import Damage
from lwlab.packing.tensors import TensorSpec

__all__ = ["DENSE"]


def _encode(content: Content, below: int) -> Parts | None:
    if content.bits.nbytes >= below:
        return None
    return Parts(values=content.flat.view(np.uint8))


def _split(payload: memoryview, spec: TensorSpec) -> Parts:
    if len(payload) != spec.count * spec.stored.item_bytes:
        raise Damage(f"{spec.name!r} has {len(payload)} bytes, which does not fit its shape")
    return Parts(values=payload)


def _decode(parts: Parts, spec: TensorSpec) -> np.ndarray:
    return np.frombuffer(parts.values, spec.stored.bits).copy()


def _bound(parts: Parts, spec: TensorSpec) -> float:
    return bound_of_elements(np.frombuffer(parts.values, spec.stored.bits), spec.count)


DENSE = Coding("dense", _encode, _split, _decode, _bound)

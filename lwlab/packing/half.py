"""Half coding: float32 elements in two bytes each, where each is a float16 value to the bit.

Nothing is rounded here: a tensor with one element that would change is written in another way. To
round a model on purpose there is ``packing.halve_``.
"""

from __future__ import annotations

import numpy as np
import torch

from lwlab.packing.bound import bound_of_elements
from lwlab.packing.coding import Coding, Content, Parts
from lwlab.packing.errors import Damage
from lwlab.packing.floats16 import FLOAT16_BYTES, widened
from lwlab.packing.tensors import TensorSpec

__all__ = ["HALF"]


def _encode(content: Content, below: int) -> Parts | None:
    if content.flat.size * FLOAT16_BYTES >= below or content.halves is None:
        return None
    return Parts(values=content.halves.view(np.uint8))


def _split(payload: memoryview, spec: TensorSpec) -> Parts:
    if spec.stored.dtype != torch.float32:
        raise Damage(f"{spec.name!r} is in half precision, which {spec.stored.name} cannot be")
    if len(payload) != spec.count * FLOAT16_BYTES:
        raise Damage(f"{spec.name!r} has {len(payload)} bytes, which does not fit its shape")
    return Parts(values=payload)


def _decode(parts: Parts, spec: TensorSpec) -> np.ndarray:
    return widened(np.frombuffer(parts.values, "<u2"))


def _bound(parts: Parts, spec: TensorSpec) -> float:
    return bound_of_elements(np.frombuffer(parts.values, "<u2"), spec.count)


HALF = Coding("half", _encode, _split, _decode, _bound, since=3, families=frozenset({"half"}))

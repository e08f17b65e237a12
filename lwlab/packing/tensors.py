"""Tensors as raw bits, and back.

Packing never looks at a value as a number: -0.0, infinities and the payload of a NaN are bit
patterns like any other, so what comes back is equal to the bit. A tensor is seen through an
unsigned integer array of the same item size, little-endian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from lwlab.checks import quoted_list
from lwlab.packing.errors import Damage, PackingError

__all__ = [
    "MAX_RANK",
    "STORED_TYPES",
    "StoredType",
    "TensorSpec",
    "bits_of",
    "check_bits",
    "fill_from_bits_",
    "spec_of",
]

MAX_RANK = 32  # dimensions; the least that all supported numpy versions agree on


@dataclass(frozen=True)
class StoredType:
    """A number type that the file knows.

    Attributes:
        code: its number in the file, 0 to 15.
        dtype: the torch type.
        integer: the torch integer type of the same width, through which its bits are seen.
    """

    code: int
    dtype: torch.dtype
    integer: torch.dtype

    @property
    def name(self) -> str:
        """Such as ``"float32"``."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def bits(self) -> np.dtype:
        """The numpy type of the raw bits: unsigned, little-endian."""
        return np.dtype(f"<u{self.item_bytes}")


STORED_TYPES = {
    code: StoredType(code, dtype, integer)
    for code, (dtype, integer) in enumerate(
        [
            (torch.float32, torch.int32),
            (torch.float64, torch.int64),
            (torch.float16, torch.int16),
            (torch.bfloat16, torch.int16),
            (torch.bool, torch.uint8),
            (torch.uint8, torch.uint8),
            (torch.int8, torch.uint8),
            (torch.int16, torch.int16),
            (torch.int32, torch.int32),
            (torch.int64, torch.int64),
        ]
    )
}
_BY_DTYPE = {stored.dtype: stored for stored in STORED_TYPES.values()}


@dataclass(frozen=True)
class TensorSpec:
    """What a file says about a tensor before its values.

    Attributes:
        name: dotted path in the model.
        stored: its number type.
        shape: its sizes; ``()`` for a single number.
    """

    name: str
    stored: StoredType
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements: a Python int, so that no product overflows."""
        return math.prod(self.shape)


def spec_of(name: str, tensor: Tensor) -> TensorSpec:
    """Return the spec of a tensor of a model.

    Raises:
        PackingError: it has no values yet, is no plain dense tensor, or its type is not stored.
    """
    # A module's get_extra_state() lands under this name: it could be written but not filled again.
    if not isinstance(tensor, Tensor) or name.rpartition(".")[2] == "_extra_state":
        raise PackingError(
            f"{name} must be a parameter or buffer to be packed or loaded, got extra state of type "
            f"{type(tensor).__name__}. Keep such state outside the module."
        )
    if is_lazy(tensor) or tensor.is_meta:
        raise PackingError(
            f"{name} must hold values to be packed or loaded, got a lazy or meta tensor. "
            f"Run the model once on an example input, or build it on the CPU."
        )
    if tensor.layout != torch.strided or tensor.dtype not in _BY_DTYPE:
        allowed = quoted_list([stored.name for stored in STORED_TYPES.values()])
        raise PackingError(
            f"{name} must be a dense tensor of type {allowed} to be packed or "
            f"loaded, got {tensor.dtype} ({tensor.layout}). Convert it first."
        )
    if tensor.ndim > MAX_RANK:
        raise PackingError(
            f"{name} must have at most {MAX_RANK} dimensions to be packed or loaded, "
            f"got {tensor.ndim}."
        )
    return TensorSpec(name, _BY_DTYPE[tensor.dtype], tuple(tensor.shape))


def bits_of(tensor: Tensor, stored: StoredType) -> np.ndarray:
    """Return the raw bits of ``tensor``, in its shape, contiguous; no copy where avoidable."""
    integers = tensor.detach().cpu().contiguous().view(stored.integer).numpy()
    bits = integers.view(f"u{stored.item_bytes}").astype(stored.bits, copy=False)
    # Uninitialized memory can hold a "true" that is not 1; torch only asks whether it is 0.
    return (bits != 0).view(np.uint8) if stored.dtype == torch.bool else bits


def check_bits(bits: np.ndarray, spec: TensorSpec) -> None:
    """Check that ``bits`` are values of their type: a bool is 0 or 1.

    Raises:
        Damage: they are not.
    """
    if spec.stored.dtype == torch.bool and bits.size and bits.max() > 1:
        raise Damage(f"{spec.name!r} holds a bool that is neither 0 nor 1")


def fill_from_bits_(tensor: Tensor, bits: np.ndarray, stored: StoredType) -> None:
    """Write raw bits (any shape of as many elements) into ``tensor``, whatever its strides."""
    native = bits.astype(f"u{stored.item_bytes}", copy=False)
    signed = native if stored.item_bytes == 1 else native.view(f"i{stored.item_bytes}")
    with torch.no_grad():
        source = torch.from_numpy(signed).reshape(tensor.shape)
        tensor.detach().view(stored.integer).copy_(source)

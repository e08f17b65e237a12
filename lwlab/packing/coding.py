"""What a coding is: a way to write the raw bits of one tensor as bytes, and to read them back.

A coding is three pure functions. ``encode`` turns bits into ``Parts``; the file holds the parts one
after another; ``split`` cuts such a payload into its parts again, checking it without allocating;
``decode`` turns the parts into bits. Parts are kept apart so that ``packing.breakdown`` can say
what every byte is for. A new coding is a file of its own and one line in ``codings.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lwlab.packing.tensors import TensorSpec

__all__ = ["Buffer", "Coding", "Parts"]

# Flat bytes: len() is their number. Arrays are uint8 and one-dimensional.
Buffer = bytes | memoryview | np.ndarray


@dataclass(frozen=True, eq=False)
class Parts:
    """The bytes of one tensor by purpose, in the order in which a file holds them.

    Attributes:
        other: what is neither of the following.
        positions: where the non-zero elements are.
        values: the elements themselves.
    """

    other: Buffer = b""
    positions: Buffer = b""
    values: Buffer = b""

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """The parts in file order."""
        return self.other, self.positions, self.values

    @property
    def size(self) -> int:
        """Their length in bytes."""
        return sum(map(len, self.buffers))


@dataclass(frozen=True)
class Coding:
    """One way to write a tensor.

    Attributes:
        name: as ``packing.breakdown`` shows it.
        encode: ``(bits, below)`` -> parts of fewer than ``below`` bytes, or None if it cannot.
            ``bits`` is a contiguous unsigned array in the tensor's shape.
        split: ``(payload, spec)`` -> parts. Raises ``Damage`` unless ``decode`` will succeed on
            them; costs no memory beyond the payload's own length.
        decode: ``(parts, spec)`` -> ``spec.count`` bits in C order, a writable array.
    """

    name: str
    encode: Callable[[np.ndarray, int], Parts | None]
    split: Callable[[memoryview, TensorSpec], Parts]
    decode: Callable[[Parts, TensorSpec], np.ndarray]

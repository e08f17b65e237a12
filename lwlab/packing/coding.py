"""What a coding is: a way to write the raw bits of one tensor as bytes, and to read them back.

A coding is a few pure functions. ``encode`` turns bits into ``Parts``; the file holds the parts one
after another; ``split`` cuts such a payload into its parts again, checking it without unpacking;
``decode`` turns the parts into bits, and ``bound`` says how short they could be. Parts are kept
apart so that ``packing.breakdown`` can say what every byte is for. A new coding is a file of its
own and one line in ``codings.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from lwlab.packing.families import CODING_FAMILIES
from lwlab.packing.floats16 import narrowed
from lwlab.packing.patterns import Patterns, find_patterns, sampled_patterns
from lwlab.packing.steps import Steps, find_steps
from lwlab.packing.stored import ScaledCodes
from lwlab.packing.tensors import StoredType, TensorSpec

__all__ = ["Buffer", "Coding", "Content", "Parts"]

# Flat bytes: len() is their number. Arrays are uint8 and one-dimensional.
Buffer = bytes | memoryview | np.ndarray


@dataclass(frozen=True, eq=False)
class Parts:
    """The bytes of one tensor by purpose, in the order in which a file holds them.

    Attributes:
        other: what is neither of the following.
        codebook: what turns codes into values: a table of patterns, or scales and zero points.
        positions: where the non-zero elements are.
        values: the elements themselves, or their codes.
    """

    other: Buffer = b""
    codebook: Buffer = b""
    positions: Buffer = b""
    values: Buffer = b""

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """The parts in file order."""
        return self.other, self.codebook, self.positions, self.values

    @property
    def size(self) -> int:
        """Their length in bytes."""
        return sum(map(len, self.buffers))


@dataclass(frozen=True, eq=False)
class Content:
    """A tensor to be written, and what several encoders want to know of it, found once.

    Attributes:
        bits: its raw bits, contiguous, unsigned, in its shape.
        stored: its number type.
        form: what its owner says of it; believed only if it is true to the bit.
        families: the names in ``CODING_FAMILIES`` that may be used.
    """

    bits: np.ndarray
    stored: StoredType
    form: ScaledCodes | None = None
    families: frozenset[str] = frozenset(CODING_FAMILIES)

    @cached_property
    def flat(self) -> np.ndarray:
        """The raw bits in C order."""
        return self.bits.reshape(-1)

    @cached_property
    def nonzero(self) -> int:
        """How many elements are not the all-zero bit pattern."""
        return int(np.count_nonzero(self.bits))

    @cached_property
    def halves(self) -> np.ndarray | None:
        """The elements as float16 bits, if they are float32 and none would change."""
        return narrowed(self.flat) if self.stored.dtype == torch.float32 else None

    @cached_property
    def sampled(self) -> np.ndarray:
        """Some of the distinct patterns, quickly found."""
        return sampled_patterns(self.flat)

    @cached_property
    def patterns(self) -> Patterns | None:
        """All distinct patterns, if they are few."""
        return find_patterns(self.flat, self.sampled)

    @cached_property
    def steps(self) -> Steps | None:
        """The tensor as whole numbers times scales, if ``form`` says so and is right."""
        return None if self.form is None else find_steps(self.form, self.bits, self.stored)


@dataclass(frozen=True)
class Coding:
    """One way to write a tensor.

    Attributes:
        name: as ``packing.breakdown`` shows it.
        encode: ``(content, below)`` -> parts of fewer than ``below`` bytes, or None if it cannot.
        split: ``(payload, spec)`` -> parts. Raises ``Damage`` unless their lengths fit the shape;
            costs no memory beyond the payload's own length.
        decode: ``(parts, spec)`` -> ``spec.count`` bits in C order, a writable array. Raises
            ``Damage`` where only unpacking shows that the parts make no sense.
        bound: ``(parts, spec)`` -> Shannon's bound in bytes, see ``bound.py``. Raises ``Damage``
            as ``decode`` does.
        since: the first format that has it.
        families: the names in ``CODING_FAMILIES`` that it takes.
        label: ``(parts,)`` -> what ``breakdown`` shows instead of the name, where that depends.
    """

    name: str
    encode: Callable[[Content, int], Parts | None]
    split: Callable[[memoryview, TensorSpec], Parts]
    decode: Callable[[Parts, TensorSpec], np.ndarray]
    bound: Callable[[Parts, TensorSpec], float]
    since: int = 1
    families: frozenset[str] = frozenset()
    label: Callable[[Parts], str] | None = None

"""A tensor as symbols, whole numbers from 0 to 255, and the codebook that turns them back.

The symbol of an element is its index in an ascending table of the distinct elements (*palette*), or
its step less the lowest step of the tensor (*scaled*). One of the symbols may mean zero. Where the
positions of the zeros are written apart, that one is left out and those above move down by one.

The codebook in a file, for elements of b bytes::

    palette    1 byte     the number of table entries, less one
               b each     the entries; a zero written apart is not among them

    scaled     1 byte     rows: 0 the whole tensor, 1 each index of an axis, 2 runs in these
               1 byte     the axis, from 0              unless the rows are one
               varint     elements of a run             where the rows are runs
               4 each     the scale of each row: float32, 2**-126 or more, finite
               1 byte     the lowest step is minus this
               1 byte     the highest step is this

Entries and scales take 2 bytes each where they are in float16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lwlab.packing.coding import Content
from lwlab.packing.errors import Damage
from lwlab.packing.floats16 import FLOAT16_BYTES, narrowed, widened
from lwlab.packing.patterns import MOST_PATTERNS
from lwlab.packing.rows import Rows
from lwlab.packing.steps import SMALLEST_SCALE, bits_from_steps
from lwlab.packing.tensors import MAX_RANK, TensorSpec
from lwlab.packing.varint import Reader, varint

__all__ = [
    "Alphabet",
    "ScaledAlphabet",
    "TableAlphabet",
    "read_scaled",
    "read_table",
    "scaled_symbols",
    "table_symbols",
]

_MOST_SYMBOLS = MOST_PATTERNS  # one fits into a byte
_MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, eq=False)
class TableAlphabet:
    """Symbols that are indices into a table of bit patterns.

    Attributes:
        table: the distinct elements as unsigned numbers; a zero among them comes first.
    """

    table: np.ndarray

    @property
    def size(self) -> int:
        """How many symbols there are, that of zero included."""
        return len(self.table)

    @property
    def zero(self) -> int | None:
        """The symbol of the all-zero bit pattern."""
        return 0 if self.size and not self.table[0] else None

    def codebook(self, *, apart: bool, half: bool) -> bytes | None:
        """Return the bytes from which it is read again.

        Args:
            apart: whether the zero is left out, since its positions are written apart.
            half: whether the entries are in float16. None is returned where they cannot.
        """
        entries = self.table[int(apart) :]
        if half:
            entries = narrowed(entries) if entries.itemsize == 4 else None
        return None if entries is None else bytes([len(entries) - 1]) + entries.tobytes()

    def bits(self, symbols: np.ndarray, spec: TensorSpec) -> np.ndarray:
        """Return the raw bits of flat symbols, in C order."""
        return self.table[symbols]


@dataclass(frozen=True, eq=False)
class ScaledAlphabet:
    """Symbols that are steps: ``(symbol + lowest) * scale`` is the element.

    Attributes:
        rows: which elements share a scale.
        scale: float32, (rows,).
        lowest: the step of symbol 0, from -255 to 0.
        highest: the largest step, from 0 to 255.
    """

    rows: Rows
    scale: np.ndarray
    lowest: int
    highest: int

    @property
    def size(self) -> int:
        """How many symbols there are, that of zero included."""
        return self.highest - self.lowest + 1

    @property
    def zero(self) -> int:
        """The symbol of the step 0."""
        return -self.lowest

    def codebook(self, *, apart: bool, half: bool) -> bytes | None:
        """Return the bytes from which it is read again; see ``TableAlphabet.codebook``."""
        scales = self.scale.astype("<f4").view("<u4")
        scales = narrowed(scales) if half else scales
        if scales is None:
            return None
        axis, size = self.rows.axis, self.rows.size
        kind = (axis is not None) + (size is not None)
        head = bytes([kind]) + (b"" if axis is None else bytes([axis]))
        head += b"" if size is None else varint(size)
        return head + scales.tobytes() + bytes([-self.lowest, self.highest])

    def bits(self, symbols: np.ndarray, spec: TensorSpec) -> np.ndarray:
        """Return the raw bits of flat symbols, in C order."""
        steps = symbols.reshape(spec.shape).astype(np.int16) + np.int16(self.lowest)
        rows = self.rows.cut(steps)
        return bits_from_steps(rows, self.scale, self.rows, spec.shape, spec.stored).reshape(-1)


Alphabet = TableAlphabet | ScaledAlphabet


def table_symbols(content: Content) -> tuple[TableAlphabet, np.ndarray] | None:
    """Return the alphabet of a tensor of at most 256 patterns, and its symbols in C order."""
    if not content.flat.size or content.patterns is None:
        return None
    return TableAlphabet(content.patterns.table), content.patterns.indices


def scaled_symbols(content: Content) -> tuple[ScaledAlphabet, np.ndarray] | None:
    """Return the alphabet of a tensor of steps and scales, and its symbols in C order.

    None where there are no steps, or more than 256 of them from the lowest to the highest.
    """
    steps = content.steps
    if steps is None:
        return None
    lowest, highest = min(int(steps.lowest.min()), 0), max(int(steps.highest.max()), 0)
    if highest - lowest >= _MOST_SYMBOLS:
        return None
    symbols = (steps.numbers - np.int16(lowest)).astype(np.uint8)
    alphabet = ScaledAlphabet(steps.rows, steps.scale, lowest, highest)
    return alphabet, steps.rows.join(symbols, content.bits.shape).reshape(-1)


def read_table(reader: Reader, spec: TensorSpec, *, apart: bool, half: bool) -> TableAlphabet:
    """Return the table at the reader's place.

    Raises:
        Damage: it is cut off, or in half precision where the elements are not float32.
    """
    entries = reader.byte() + 1
    if half and spec.stored.name != "float32":
        raise Damage(f"{spec.name!r} is in half precision, which {spec.stored.name} cannot be")
    item_bytes = FLOAT16_BYTES if half else spec.stored.item_bytes
    raw = reader.take(entries * item_bytes)
    table = widened(np.frombuffer(raw, "<u2")) if half else np.frombuffer(raw, spec.stored.bits)
    if not apart:
        return TableAlphabet(table)
    if entries == MOST_PATTERNS:
        raise Damage(f"{spec.name!r} has a table of {entries} entries beside the zero")
    return TableAlphabet(np.concatenate([np.zeros(1, table.dtype), table]))


def read_scaled(reader: Reader, spec: TensorSpec, *, half: bool) -> ScaledAlphabet:
    """Return the scales and the range of the steps at the reader's place.

    Raises:
        Damage: they make no sense, do not fit the tensor, or are cut off.
    """
    if not spec.stored.dtype.is_floating_point:
        raise Damage(f"{spec.name!r} has scales, which {spec.stored.name} cannot have")
    kind = reader.byte()
    if kind > 2:
        raise Damage(f"{spec.name!r} has rows of the unknown kind {kind}")
    axis = reader.varint("axis", MAX_RANK) if kind else None
    size = reader.varint("row size", _MAX_SIZE) if kind == 2 else None
    rows = Rows(axis, size)
    try:
        count, _ = rows.sizes(spec.shape)
    except ValueError:
        raise Damage(f"{spec.name!r} has scales that do not fit its shape") from None
    # The scales come first: once they are seen to be there, the number of rows is believed.
    raw = reader.take(count * (FLOAT16_BYTES if half else 4))
    scale = np.frombuffer(raw, "<f2" if half else "<f4").astype(np.float32)
    if not (np.isfinite(scale) & (scale >= SMALLEST_SCALE)).all():
        raise Damage(f"{spec.name!r} has a scale that is not finite or not above 0")
    lowest, highest = -reader.byte(), reader.byte()
    if highest - lowest >= _MOST_SYMBOLS:
        raise Damage(f"{spec.name!r} has {highest - lowest + 1} steps, above {_MOST_SYMBOLS}")
    return ScaledAlphabet(rows, scale, lowest, highest)

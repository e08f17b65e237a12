"""The codebook of a scaled tensor: how its rows lie, their scales, widths and zero points.

::

    1 byte       bits 0-1   rows: 0 the whole tensor, 1 each index of an axis, 2 runs in these
                 bit 2      zero points follow; else they are in the middle of the codes
                 bit 3      the rows have widths of their own
                 bits 4-6   width - 1, the bits of a code; 0 with widths of their own
                 bit 7      these are one for each index of the axis, for all runs in it; else 0
    1 byte       the axis, from 0                                  unless the rows are one
    varint       elements of a run                                 where the rows are runs
    4 bytes      the scale of each row: float32, 2**-126 or more, finite
    3 bits       width - 1 of each row or index, packed as in ``codes.py``  with widths of their own
    codes        the zero point of each row, in the width of the row; in runs (below)

Runs: the codes of all rows of width 1, packed as in ``codes.py``, then those of width 2, and so on;
those of each width start at a new byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.errors import Damage
from lwlab.packing.rows import Rows
from lwlab.packing.steps import SMALLEST_SCALE
from lwlab.packing.tensors import MAX_RANK, TensorSpec
from lwlab.packing.varint import Reader, varint

__all__ = ["Head", "by_width", "read_head", "write_head"]

_ZERO_POINTS, _OWN_WIDTHS, _BY_INDEX = 4, 8, 128
_MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Head:
    """What turns the codes of a scaled tensor into values.

    Attributes:
        rows: which elements share a scale.
        scale: float32, (rows,).
        widths: int64, (rows,): bits of a code.
        zero_points: int64, (rows,), or None: in the middle, which has no code where the width is 1.
    """

    rows: Rows
    scale: np.ndarray
    widths: np.ndarray
    zero_points: np.ndarray | None

    @property
    def has_own_widths(self) -> bool:
        """Whether the rows differ in their widths."""
        return bool((self.widths != self.widths[0]).any())

    def points(self, which: np.ndarray | slice) -> np.ndarray | None:
        """Return the zero points of some rows as int16, or None: in the middle."""
        return None if self.zero_points is None else self.zero_points[which].astype(np.int16)


def by_width(widths: np.ndarray) -> Iterator[tuple[int, np.ndarray | slice]]:
    """Yield each width, ascending, and which rows have it: an index into them."""
    if (widths == widths[0]).all():
        yield int(widths[0]), slice(None)  # a slice copies nothing
        return
    for width in np.unique(widths):
        yield int(width), widths == width


def write_head(head: Head, shape: tuple[int, ...]) -> bytes:
    """Return the bytes of ``head``, of a tensor of ``shape``."""
    rows, widths = head.rows, head.widths
    own = widths if head.has_own_widths else widths[:0]
    kind = (rows.axis is not None) + (rows.size is not None)
    kind |= 0 if head.zero_points is None else _ZERO_POINTS
    kind |= _OWN_WIDTHS if own.size else int(widths[0] - 1) << 4
    if own.size and rows.size is not None:
        by_index = own.reshape(shape[rows.axis], -1)
        if (by_index == by_index[:, :1]).all():
            own, kind = by_index[:, 0], kind | _BY_INDEX
    chunks = [bytes([kind])]
    chunks += [] if rows.axis is None else [bytes([rows.axis])]
    chunks += [] if rows.size is None else [varint(rows.size)]
    chunks.append(head.scale.astype("<f4").tobytes())
    chunks.append(pack_codes((own - 1).astype(np.uint8), 3).tobytes())
    if head.zero_points is not None:
        points = head.zero_points.astype(np.uint8)
        chunks += [pack_codes(points[which], width).tobytes() for width, which in by_width(widths)]
    return b"".join(chunks)


def read_head(reader: Reader, spec: TensorSpec) -> tuple[Head, int]:
    """Return the head at the reader's place, and how many elements each of its rows has.

    Raises:
        Damage: it makes no sense, does not fit the tensor, or is cut off.
    """
    kind = reader.byte()
    by_index, one_width = kind & _BY_INDEX, not kind & _OWN_WIDTHS
    sound = kind & 3 < 3 and (one_width or not kind & 0b1110000)
    if not sound or (by_index and (one_width or kind & 3 < 2)):
        raise Damage(f"{spec.name!r} has codes of the unknown kind {kind}")
    axis = reader.varint("axis", MAX_RANK) if kind & 3 else None
    size = reader.varint("row size", _MAX_SIZE) if kind & 3 == 2 else None
    rows = Rows(axis, size)
    try:
        count, length = rows.sizes(spec.shape)
    except ValueError:
        raise Damage(f"{spec.name!r} has scales that do not fit its shape") from None
    # The scales come first: once they are seen to be there, the number of rows is believed.
    scale = np.frombuffer(reader.take(4 * count), "<f4")
    if not (np.isfinite(scale) & (scale >= SMALLEST_SCALE)).all():
        raise Damage(f"{spec.name!r} has a scale that is not finite or not above 0")
    if one_width:
        widths = np.full(count, (kind >> 4) + 1, np.int64)
    else:
        indices = spec.shape[axis] if by_index else count
        widths = _read_codes(reader, indices, 3).astype(np.int64) + 1
        widths = np.repeat(widths, count // indices)
    zero_points = _read_zero_points(reader, widths) if kind & _ZERO_POINTS else None
    return Head(rows, scale, widths, zero_points), length


def _read_zero_points(reader: Reader, widths: np.ndarray) -> np.ndarray:
    points = np.empty(len(widths), np.int64)
    for width, which in by_width(widths):
        points[which] = _read_codes(reader, len(widths[which]), width)
    return points


def _read_codes(reader: Reader, count: int, width: int) -> np.ndarray:
    packed = reader.take(codes_length(count, width))
    check_codes(packed, count, width)
    return unpack_codes(packed, count, width)

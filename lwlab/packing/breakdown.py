"""Where the bytes of a packed file go: every one of them is in exactly one place here."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from lwlab.packing.archive import frame_length
from lwlab.packing.errors import naming
from lwlab.packing.files import read_file
from lwlab.packing.model import Packed, check_packed
from lwlab.packing.reading import Entry, read_archive
from lwlab.units import format_bytes, format_count, format_percent

__all__ = ["Breakdown", "TensorBytes", "breakdown"]

_KINDS = ("values", "positions", "codebook", "other", "header")  # every byte is one of these
_HEADINGS = ("tensor", "shape", "coding", *_KINDS, "total", "bound")
_TEXT_COLUMNS = 3  # the first ones are aligned to the left, the numbers after them to the right


@dataclass(frozen=True)
class TensorBytes:
    """The bytes of one tensor in a file.

    Attributes:
        name: dotted path in the model.
        shape: its sizes.
        coding: ``"dense"``, ``"half"``, ``"bitmask"``, ``"scaled"``, ``"palette"``, the last two
            also ``"sparse ..."``; a composition such as ``"scaled + mask + range"``; or ``"tied"``
            if it shares the memory of an earlier one.
        values_bytes: its (non-zero) elements, or their codes.
        positions_bytes: where the non-zero elements are.
        codebook_bytes: what turns codes into elements: a table of them, or scales and zero points.
        other_bytes: what is neither: the form of a composition; for a tied tensor, the link.
        header_bytes: its name, type, shape and length.
        bound_bytes: Shannon's bound (``bound.py``) for values and positions together: n * H of its
            codes, zeros included; without codes, the elements that are not zero and n * H of where
            they are. Codebook, other and header are not in it.
    """

    name: str
    shape: tuple[int, ...]
    coding: str
    values_bytes: int
    positions_bytes: int
    codebook_bytes: int
    other_bytes: int
    header_bytes: int
    bound_bytes: float

    @property
    def total(self) -> int:
        """All bytes of this tensor."""
        return sum(getattr(self, f"{kind}_bytes") for kind in _KINDS)


@dataclass(frozen=True)
class Breakdown:
    """What a packed file spends its bytes on; ``print`` it, or show it in a notebook.

    Attributes:
        source: the file's path, or ``"data"``.
        total: the file's length in bytes.
        frame_bytes: magic, version, number of tensors and checksum.
        tensors: the bytes of each tensor, in file order.
    """

    source: str
    total: int
    frame_bytes: int
    tensors: tuple[TensorBytes, ...]

    @property
    def values(self) -> int:
        """Bytes of (non-zero) elements, or of their codes."""
        return sum(row.values_bytes for row in self.tensors)

    @property
    def positions(self) -> int:
        """Bytes that say where the non-zero elements are."""
        return sum(row.positions_bytes for row in self.tensors)

    @property
    def codebook(self) -> int:
        """Bytes that turn codes into elements: tables, scales, zero points."""
        return sum(row.codebook_bytes for row in self.tensors)

    @property
    def other(self) -> int:
        """Bytes that are none of the other kinds."""
        return sum(row.other_bytes for row in self.tensors)

    @property
    def bound(self) -> float:
        """Shannon's bound in bytes for values and positions of all tensors."""
        return sum(row.bound_bytes for row in self.tensors)

    @property
    def header(self) -> int:
        """Bytes of names, types, shapes and lengths, and of the frame around all."""
        return self.frame_bytes + sum(row.header_bytes for row in self.tensors)

    def __str__(self) -> str:
        rows = [_HEADINGS, *_cells(self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{_printable(self.source)}: {_summary(self)}", *(_line(r, widths) for r in rows)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = _html_row(_HEADINGS, "th")
        body = "".join(_html_row(row, "td") for row in _cells(self))
        caption = html.escape(f"{_printable(self.source)}: {_summary(self)}")
        return (
            f"<table><caption>{caption}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"
        )


def breakdown(path_or_bytes: str | os.PathLike[str] | Packed) -> Breakdown:
    """Return what each byte of a packed file is for.

    The file is read and checked as for loading. One tensor at a time is decoded, as far as counting
    its symbols takes: at most 1,024 for each byte that it has in the file.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: ``path_or_bytes`` is neither a path nor bytes.
        PackingError: it is no packed file, damaged, or of a newer format.
    """
    if isinstance(path_or_bytes, str | os.PathLike):
        source, data = str(path_or_bytes), read_file(path_or_bytes)
    else:
        source, data = "data", check_packed("path_or_bytes", path_or_bytes)
    entries = read_archive(data, source)
    with naming(source):
        rows = tuple(map(_row, entries))
    return Breakdown(source, len(data), frame_length(len(rows)), rows)


def _row(entry: Entry) -> TensorBytes:
    coding = entry.coding
    return TensorBytes(
        name=entry.spec.name,
        shape=entry.spec.shape,
        coding=_label(entry),
        values_bytes=len(entry.parts.values),
        positions_bytes=len(entry.parts.positions),
        codebook_bytes=len(entry.parts.codebook),
        other_bytes=len(entry.parts.other),
        header_bytes=entry.header_bytes,
        bound_bytes=coding.bound(entry.parts, entry.spec) if coding else 0.0,
    )


def _label(entry: Entry) -> str:
    if entry.coding is None:
        return "tied"
    return entry.coding.label(entry.parts) if entry.coding.label else entry.coding.name


def _summary(table: Breakdown) -> str:
    shares = [
        f"{kind} {format_percent(getattr(table, kind) / table.total)}"
        for kind in _KINDS
        if getattr(table, kind)
    ]
    return f"{format_bytes(table.total)} ({', '.join(shares)})"


def _cells(table: Breakdown) -> list[tuple[str, ...]]:
    """Return the table's rows as text: the frame, each tensor, their sum."""
    rows = [("(frame)", "", "", *_counts(0, 0, 0, 0, table.frame_bytes, table.frame_bytes, 0))]
    for row in table.tensors:
        sizes = [getattr(row, f"{kind}_bytes") for kind in _KINDS]
        shape = "x".join(map(str, row.shape)) or "-"
        counts = _counts(*sizes, row.total, row.bound_bytes)
        rows.append((_printable(row.name), shape, row.coding, *counts))
    sums = [getattr(table, kind) for kind in _KINDS]
    return [*rows, ("total", "", "", *_counts(*sums, table.total, table.bound))]


def _counts(*sizes: float) -> tuple[str, ...]:
    return tuple(format_count(math.ceil(size)) for size in sizes)


def _printable(name: str) -> str:
    """Return a name that cannot move the cursor or break the line: files come from anywhere."""
    return name if name.isprintable() else repr(name)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.ljust(width) if column < _TEXT_COLUMNS else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells)


def _html_row(row: Sequence[str], tag: str) -> str:
    cells = [
        f'<{tag} style="text-align:{"left" if column < _TEXT_COLUMNS else "right"}">'
        f"{html.escape(text)}</{tag}>"
        for column, text in enumerate(row)
    ]
    return f"<tr>{''.join(cells)}</tr>"

"""Reading a file of unknown origin: everything is checked before anything is unpacked.

The format is written down in ``archive.py``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from lwlab.packing.archive import (
    CHECKSUM_BYTES,
    MAGIC,
    MAX_NAME_BYTES,
    MAX_TENSORS,
    TIED,
    VERSION,
    frame_length,
)
from lwlab.packing.coding import Coding, Parts
from lwlab.packing.codings import CODINGS
from lwlab.packing.errors import Damage, PackingError, naming
from lwlab.packing.tensors import MAX_RANK, STORED_TYPES, TensorSpec, check_bits
from lwlab.packing.varint import Reader

__all__ = ["Entry", "check_magic", "decode", "read_archive"]

_MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Entry:
    """A tensor in a file, checked but not decoded.

    Attributes:
        spec: name, type, shape.
        coding: how its payload is written; None if it is tied.
        parts: its payload by purpose: views into the file.
        header_bytes: length of its entry in the header.
        tied_to: index of the entry whose values it shares, or None.
    """

    spec: TensorSpec
    coding: Coding | None
    parts: Parts
    header_bytes: int
    tied_to: int | None = None


def read_archive(data: bytes, source: str) -> list[Entry]:
    """Return the entries of a file, everything checked, nothing decoded.

    Args:
        data: the whole file.
        source: what to call it in the sentence of an error.

    Raises:
        PackingError: it is no packed file, of a newer format, or damaged.
    """
    check_magic(data, source)
    with naming(source):
        if len(data) < frame_length(0):
            raise Damage("it is cut off")
        view = memoryview(data)
        body, checksum = view[:-CHECKSUM_BYTES], view[-CHECKSUM_BYTES:]
        if zlib.crc32(body) != int.from_bytes(checksum, "little"):
            raise Damage("its checksum does not match, it was cut off or altered")
        return _read_entries(Reader(body, len(MAGIC) + 1), version=body[len(MAGIC)])


def check_magic(data: bytes, source: str) -> None:
    """Check the first bytes: is it a packed file, of a format that we read?

    Raises:
        PackingError: it is not.
    """
    start = bytes(data[: len(MAGIC)])
    if not start or not MAGIC.startswith(start):
        found = f"one that starts with {start!r}" if start else "an empty one"
        hint = " Did you mean torch.load?" if start[:2] in (b"PK", b"\x80\x02") else ""
        raise PackingError(
            f"{source} must be a file written by lwlab.packing.save, got {found}.{hint}"
        )
    version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
    if version > VERSION:
        raise PackingError(
            f"{source} was written by a newer lwlab (format {version}); "
            f"this one reads {VERSION}: pip install -U lwlab"
        )
    with naming(source):
        if not version:
            raise Damage("its format version is 0")


def _read_entries(reader: Reader, version: int) -> list[Entry]:
    heads = []
    name = b""
    for _ in range(reader.varint("number of tensors", MAX_TENSORS)):
        start = reader.position
        name = _read_name(reader, name)
        spec, number = _read_spec(reader, name, version)
        length = reader.varint("payload length", _MAX_NUMBER)
        heads.append((spec, number, length, reader.position - start))
    _check_heads(heads, reader.left)
    entries: list[Entry] = []
    for spec, number, length, header_bytes in heads:
        entries.append(_read_payload(reader.take(length), spec, number, header_bytes, entries))
    return entries


def _read_name(reader: Reader, previous: bytes) -> bytes:
    shared = reader.varint("shared name length", len(previous))
    name = previous[:shared] + reader.take(reader.varint("name length", MAX_NAME_BYTES - shared))
    if not name:
        raise Damage("a tensor has no name")
    return name


def _read_spec(reader: Reader, name: bytes, version: int) -> tuple[TensorSpec, int]:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise Damage("the name of a tensor is not UTF-8") from None
    number, code = divmod(reader.byte(), 16)
    known = number == TIED or (number in CODINGS and CODINGS[number].since <= version)
    if code not in STORED_TYPES or not known:
        raise Damage(f"{text!r} has the unknown type {code} or coding {number}")
    rank = reader.varint("rank", MAX_RANK)
    shape = tuple(reader.varint("size", _MAX_NUMBER) for _ in range(rank))
    return TensorSpec(text, STORED_TYPES[code], shape), number


def _check_heads(heads: list[tuple], bytes_left: int) -> None:
    names = {spec.name for spec, *_ in heads}
    if len(names) < len(heads):
        raise Damage("two tensors have the same name")
    payload_bytes = sum(length for _, _, length, _ in heads)
    if payload_bytes != bytes_left:
        raise Damage(f"it declares {payload_bytes} bytes of values where {bytes_left} are left")


def _read_payload(
    payload: memoryview, spec: TensorSpec, number: int, header_bytes: int, earlier: list[Entry]
) -> Entry:
    if number != TIED:
        coding = CODINGS[number]
        return Entry(spec, coding, coding.split(payload, spec), header_bytes)
    link = Reader(payload)
    owner = link.varint("tied tensor", MAX_TENSORS)
    if owner >= len(earlier) or link.left or not _can_share(earlier[owner], spec):
        raise Damage(f"{spec.name!r} is tied to a tensor that does not fit it")
    return Entry(spec, None, Parts(other=payload), header_bytes, owner)


def _can_share(owner: Entry, spec: TensorSpec) -> bool:
    same = (owner.spec.stored, owner.spec.shape) == (spec.stored, spec.shape)
    return same and owner.tied_to is None


def decode(entries: list[Entry], source: str) -> list[np.ndarray]:
    """Return the raw bits of each entry, in C order; tied entries share one array.

    Allocates what the shapes of the entries say: compare these with a model first.

    Raises:
        PackingError: a value is none of its type, or a payload turns out to make no sense.
    """
    decoded: list[np.ndarray] = []
    with naming(source):
        for entry in entries:
            if entry.tied_to is not None:
                decoded.append(decoded[entry.tied_to])
                continue
            bits = entry.coding.decode(entry.parts, entry.spec)
            check_bits(bits, entry.spec)
            decoded.append(bits)
    return decoded

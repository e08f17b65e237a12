r"""The file: named tensors in one run of bytes.

Format 1. A *varint* is an unsigned number, seven bits per byte, lowest first, top bit set on all
but the last byte, in its shortest form, below 2**63. Everything is little-endian.

::

    4 bytes   magic "LWLB"
    1 byte    format version: 1
    varint    number of tensors, at most 16,383
    entry     of each tensor: what it is (below)
    payload   of each tensor, in the same order, nothing between them
    4 bytes   CRC-32 (zlib) of everything before it

An entry:

::

    varint    p: how many bytes of the previous entry's name this name starts with (0 in the first)
    varint    q: how many bytes of its own follow; the name has p + q = 1 to 255 bytes
    q bytes   the rest of the name (the whole name is UTF-8)
    1 byte    kind: 16 * coding + type
    varint    rank, at most 32; then one varint for each size of the shape
    varint    length of the payload in bytes

Names are unique. Types: 0 float32, 1 float64, 2 float16, 3 bfloat16, 4 bool (a byte, 0 or 1),
5 uint8, 6 int8, 7 int16, 8 int32, 9 int64. Codings, for n elements in C order:

* 0 *dense*: n elements.
* 1 *bitmask*: ceil(n / 8) bytes, of which bit ``i % 8`` (1 = lowest) of byte ``i // 8`` is set if
  element i is not the all-zero bit pattern, unused bits zero; then the elements whose bit is set.
* 15 *tied*: a varint, the index of an earlier entry that is not tied itself, of the same type and
  shape, with which this tensor shares its memory.

A reader checks lengths against the bytes that are there before it allocates: a tensor has at most
eight elements per byte of its payload.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from torch import Tensor

from lwlab.packing.coding import Coding, Parts
from lwlab.packing.codings import CODINGS, smallest
from lwlab.packing.errors import Damage, PackingError, naming
from lwlab.packing.tensors import (
    MAX_RANK,
    STORED_TYPES,
    TensorSpec,
    bits_of,
    check_bits,
    spec_of,
)
from lwlab.packing.varint import Reader, varint

__all__ = [
    "MAGIC",
    "VERSION",
    "Entry",
    "check_magic",
    "decode",
    "frame_length",
    "memory_key",
    "read_archive",
    "write_archive",
]

MAGIC = b"LWLB"
VERSION = 1
_TIED = 15
_CHECKSUM_BYTES = 4
_MAX_TENSORS = 2**14 - 1
_MAX_NAME_BYTES = 255
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


def write_archive(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the file that holds ``tensors``; one that occurs twice is stored once.

    Raises:
        PackingError: a name is too long or a tensor is of a kind that the file cannot hold.
    """
    if len(tensors) > _MAX_TENSORS:
        raise PackingError(f"a file holds at most {_MAX_TENSORS} tensors, got {len(tensors)}.")
    chunks = [MAGIC, bytes([VERSION]), varint(len(tensors))]
    payloads = []
    first_index: dict[tuple, int] = {}
    previous = b""
    for index, (name, tensor) in enumerate(tensors.items()):
        spec, encoded_name = spec_of(name, tensor), _encode_name(name)
        owner = first_index.setdefault(memory_key(tensor, index), index)
        if owner == index:
            number, parts = smallest(bits_of(tensor, spec.stored))
        else:
            number, parts = _TIED, Parts(other=varint(owner))
        chunks += _entry_chunks(spec, encoded_name, previous, number, parts.size)
        payloads += parts.buffers
        previous = encoded_name
    return _sealed(chunks + payloads)


def memory_key(tensor: Tensor, index: int) -> tuple:
    """Return what two tensors share if they are the same memory, seen the same way.

    Args:
        tensor: a tensor of a model.
        index: its position there, which keeps apart empty tensors: all lie at address 0.
    """
    if not tensor.numel():
        return (index,)
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())


def _encode_name(name: str) -> bytes:
    encoded = name.encode(errors="surrogatepass")
    if not 1 <= len(encoded) <= _MAX_NAME_BYTES:
        raise PackingError(
            f"the name of a tensor must have 1 to {_MAX_NAME_BYTES} bytes, "
            f"got {len(encoded)} in {name[:40]!r}."
        )
    try:
        encoded.decode()
    except UnicodeDecodeError:
        raise PackingError(f"the name of a tensor must be valid Unicode, got {name!r}.") from None
    return encoded


def _entry_chunks(
    spec: TensorSpec, name: bytes, previous: bytes, number: int, payload_bytes: int
) -> list[bytes]:
    shared = _shared_prefix(name, previous)
    return [
        varint(shared),
        varint(len(name) - shared),
        name[shared:],
        bytes([16 * number + spec.stored.code]),
        varint(len(spec.shape)),
        *map(varint, spec.shape),
        varint(payload_bytes),
    ]


def _shared_prefix(name: bytes, previous: bytes) -> int:
    pairs = zip(name, previous, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _sealed(chunks: list) -> bytes:
    """Return the chunks and their checksum as one run of bytes, copied once."""
    checksum = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
    return b"".join([*chunks, checksum.to_bytes(_CHECKSUM_BYTES, "little")])


def frame_length(count: int) -> int:
    """Return the bytes of a file of ``count`` tensors that belong to none of them."""
    return len(MAGIC) + 1 + len(varint(count)) + _CHECKSUM_BYTES


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
        body, checksum = view[:-_CHECKSUM_BYTES], view[-_CHECKSUM_BYTES:]
        if zlib.crc32(body) != int.from_bytes(checksum, "little"):
            raise Damage("its checksum does not match, it was cut off or altered")
        return _read_entries(Reader(body, len(MAGIC) + 1))


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


def _read_entries(reader: Reader) -> list[Entry]:
    heads = []
    name = b""
    for _ in range(reader.varint("number of tensors", _MAX_TENSORS)):
        start = reader.position
        name = _read_name(reader, name)
        spec, number = _read_spec(reader, name)
        length = reader.varint("payload length", _MAX_NUMBER)
        heads.append((spec, number, length, reader.position - start))
    _check_heads(heads, reader.left)
    entries: list[Entry] = []
    for spec, number, length, header_bytes in heads:
        entries.append(_read_payload(reader.take(length), spec, number, header_bytes, entries))
    return entries


def _read_name(reader: Reader, previous: bytes) -> bytes:
    shared = reader.varint("shared name length", len(previous))
    name = previous[:shared] + reader.take(reader.varint("name length", _MAX_NAME_BYTES - shared))
    if not name:
        raise Damage("a tensor has no name")
    return name


def _read_spec(reader: Reader, name: bytes) -> tuple[TensorSpec, int]:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise Damage("the name of a tensor is not UTF-8") from None
    number, code = divmod(reader.byte(), 16)
    if code not in STORED_TYPES or (number not in CODINGS and number != _TIED):
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
    if number != _TIED:
        coding = CODINGS[number]
        return Entry(spec, coding, coding.split(payload, spec), header_bytes)
    link = Reader(payload)
    owner = link.varint("tied tensor", _MAX_TENSORS)
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
        PackingError: a value is none of its type.
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

r"""The file: named tensors in one run of bytes. Written here, read in ``reading.py``.

Format 3. A *varint* is an unsigned number, seven bits per byte, lowest first, top bit set on all
but the last byte, in its shortest form, below 2**63. Everything is little-endian.

::

    4 bytes   magic "LWLB"
    1 byte    format version: 1; 2 if a tensor has one of the codings 2 to 5; 3 if 6 or 7
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
* 2 *scaled*: for floating point, n above 0. A codebook, which cuts the tensor into rows with a
  width, a scale and a zero point each (``scaled_head.py`` has every byte of it); then n codes,
  those of all rows of the least width first, in the order of the rows. A row is the whole tensor,
  or an index of an axis with the other axes flattened in order, or a run of a given size in that.
  A code c of b bits means the step ``c - zero_point``; with the zero point in the middle,
  ``c - 2**(b - 1)``, or for b = 1 ``2 * c - 1``. The element is ``step * scale``, rounded to
  float32, then to the type.
* 3 *sparse scaled*: the codebook; a bitmask of n bits as above, in the order of the rows, of the
  elements whose step is not 0; the codes of these, as in 2.
* 4 *palette*: 1 byte, the number k of patterns less one; k elements; then for each of the n
  elements its index among the k, in w = ceil(log2 k) bits. For k = 1 and n above 1,024, w is 1.
* 5 *sparse palette*: 1 byte and k elements as in 4; a bitmask as in 1; then the index of each
  element whose bit is set, in ceil(log2 k) bits.
* 6 *half*: for float32; n elements in float16, 2 bytes each.
* 7 *composed*: n above 0. A byte that names three ways, of elements, positions and symbols, then a
  part for each: ``composed.py``. Every byte of the parts is described where they are written:
  codebooks in ``alphabets.py``, positions in ``positions.py`` with ``gaps.py`` and
  ``mask_coder.py``, symbols in ``symbols.py`` with ``huffman.py`` and ``range_coder.py``.
* 15 *tied*: a varint, the index (from 0) of an earlier entry that is not tied itself, of the same
  type and shape, with which this tensor shares its memory.

Codes and indices of w bits are packed one right after the other: bit j of the i-th is bit
``(i * w + j) % 8`` (0 = lowest) of byte ``(i * w + j) // 8``; unused bits are zero. In 2 and 3,
codes of another width start at a new byte.

The order of the tensors means nothing. A writer may choose any coding; ours takes the smallest,
and the oldest format that has it. A reader checks lengths against the bytes that are there before
it allocates: a tensor that is not tied has at most eight elements per byte of its payload, or
1,024; a composed one has at most 1,024 per byte. That is what deflate, inside gzip and zip, allows
too (1,032), so no file grows more than those do; and ``load_`` compares all shapes with those of
the model before anything is unpacked.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import takewhile

from torch import Tensor

from lwlab.packing.coding import Content, Parts
from lwlab.packing.codings import CODINGS, smallest
from lwlab.packing.errors import PackingError
from lwlab.packing.families import CODING_FAMILIES
from lwlab.packing.stored import ScaledCodes
from lwlab.packing.tensors import TensorSpec, bits_of, spec_of
from lwlab.packing.varint import varint

__all__ = [
    "CHECKSUM_BYTES",
    "MAGIC",
    "MAX_NAME_BYTES",
    "MAX_TENSORS",
    "TIED",
    "VERSION",
    "frame_length",
    "memory_key",
    "write_archive",
]

MAGIC = b"LWLB"
VERSION = 3  # the newest; a file is of the oldest format that has all its codings
TIED = 15
CHECKSUM_BYTES = 4
MAX_TENSORS = 2**14 - 1
MAX_NAME_BYTES = 255


def write_archive(
    tensors: Mapping[str, Tensor],
    described: Mapping[str, ScaledCodes] | None = None,
    families: frozenset[str] = frozenset(CODING_FAMILIES),
) -> bytes:
    """Return the file that holds ``tensors``; one that occurs twice is stored once.

    Args:
        tensors: by their names.
        described: what is known of some of them, by the same names.
        families: the names in ``CODING_FAMILIES`` that may be used.

    Raises:
        PackingError: a name is too long or a tensor is of a kind that the file cannot hold.
    """
    if len(tensors) > MAX_TENSORS:
        raise PackingError(f"a file holds at most {MAX_TENSORS} tensors, got {len(tensors)}.")
    entries, payloads = [varint(len(tensors))], []
    first_index: dict[tuple, int] = {}
    previous, version = b"", 1
    for index, (name, tensor) in enumerate(tensors.items()):
        spec, encoded_name = spec_of(name, tensor), _encode_name(name)
        owner = first_index.setdefault(memory_key(tensor, index), index)
        if owner == index:
            form = (described or {}).get(name)
            content = Content(bits_of(tensor, spec.stored), spec.stored, form, families)
            number, parts = smallest(content)
            version = max(version, CODINGS[number].since)
        else:
            number, parts = TIED, Parts(other=varint(owner))
        entries += _entry_chunks(spec, encoded_name, previous, number, parts.size)
        payloads += parts.buffers
        previous = encoded_name
    return _sealed([MAGIC, bytes([version]), *entries, *payloads])


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
    if not 1 <= len(encoded) <= MAX_NAME_BYTES:
        raise PackingError(
            f"the name of a tensor must have 1 to {MAX_NAME_BYTES} bytes, "
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
    return b"".join([*chunks, checksum.to_bytes(CHECKSUM_BYTES, "little")])


def frame_length(count: int) -> int:
    """Return the bytes of a file of ``count`` tensors that belong to none of them."""
    return len(MAGIC) + 1 + len(varint(count)) + CHECKSUM_BYTES

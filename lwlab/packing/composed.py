"""Composed coding: what the elements are, where they are and how they are written, freely combined.

The first byte of the payload names the three, and each has its part after it::

    1 byte      bits 0-1   elements: 0 plain, 1 palette, 2 scaled
                bits 2-3   positions: 0 none, 1 bitmask, 2 gaps, 3 entropy-coded mask
                bits 4-5   symbols: 0 packed, 1 Huffman, 2 range coder
                bit 6      the plain elements, the table or the scales are in float16
                bit 7      ceil(n / 1,024) zero bytes follow (below)
    codebook    of a palette or of scales, see ``alphabets.py``; none for plain elements
    positions   unless 0: a varint, their length in bytes, and these; see ``positions.py``
    symbols     one for each element that is not a zero of the positions, see ``symbols.py``; or
                the plain elements themselves, which have positions and for which bits 4-5 are 0

Elements are in C order. A payload has at least one byte for every 1,024 of them: so a few bytes of
unknown origin cannot ask for any amount of memory. Almost empty tensors need less than that; theirs
is filled up with zeros.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.alphabets import Alphabet, read_scaled, read_table
from lwlab.packing.bound import bound_of_codes, bound_of_elements
from lwlab.packing.coding import Coding, Parts
from lwlab.packing.composing import ELEMENTS_PER_BYTE, encode_composed
from lwlab.packing.errors import Damage
from lwlab.packing.floats16 import widened
from lwlab.packing.form import PALETTE, PLAIN, SCALED, Form
from lwlab.packing.positions import NOWHERE, POSITION_CODERS, matrix_shape
from lwlab.packing.symbols import SYMBOL_CODERS
from lwlab.packing.tensors import TensorSpec
from lwlab.packing.varint import Reader

__all__ = ["COMPOSED"]


def _split(payload: memoryview, spec: TensorSpec) -> Parts:
    if not 0 < spec.count <= ELEMENTS_PER_BYTE * len(payload):
        raise Damage(f"{spec.name!r} has {len(payload)} bytes for {spec.count} elements")
    reader = Reader(payload)
    form = Form.of(reader.byte())
    if form.filled and any(reader.take(-(-spec.count // ELEMENTS_PER_BYTE))):
        raise Damage(f"{spec.name!r} is filled up with bytes that are not zero")
    start = reader.position
    _read_alphabet(form, reader, spec)
    end = reader.position
    if form.positions != NOWHERE:
        reader.take(reader.varint("positions length", len(payload)))
    return Parts(
        other=payload[:start],
        codebook=payload[start:end],
        positions=payload[end : reader.position],
        values=payload[reader.position :],
    )


def _read_alphabet(form: Form, reader: Reader, spec: TensorSpec) -> Alphabet | None:
    if form.elements == PALETTE:
        return read_table(reader, spec, apart=form.positions != NOWHERE, half=form.half)
    if form.elements == SCALED:
        return read_scaled(reader, spec, half=form.half)
    if form.half and spec.stored.name != "float32":
        raise Damage(f"{spec.name!r} is in half precision, which {spec.stored.name} cannot be")
    return None


def _read_mask(form: Form, parts: Parts, spec: TensorSpec) -> np.ndarray | None:
    if form.positions == NOWHERE:
        return None
    reader = Reader(parts.positions)
    data = reader.take(reader.varint("positions length", len(parts.positions)))
    return POSITION_CODERS[form.positions].read(data, matrix_shape(spec.shape, spec.count))


def _decode(parts: Parts, spec: TensorSpec) -> np.ndarray:
    form = Form.of(parts.other[0])
    if form.elements == PLAIN:
        return _plain(form, parts, spec)
    alphabet = _read_alphabet(form, Reader(parts.codebook), spec)
    return alphabet.bits(_symbols(form, alphabet, parts, spec), spec)


def _plain(form: Form, parts: Parts, spec: TensorSpec) -> np.ndarray:
    values, mask = _plain_values(form, parts, spec), _read_mask(form, parts, spec)
    ones = int(np.count_nonzero(mask))
    if len(values) != ones:
        raise Damage(f"{spec.name!r} has {len(values)} values for {ones} non-zero elements")
    bits = np.zeros(spec.count, spec.stored.bits)
    bits[mask] = widened(values) if form.half else values
    return bits


def _plain_values(form: Form, parts: Parts, spec: TensorSpec) -> np.ndarray:
    stored = np.dtype("<u2") if form.half else spec.stored.bits
    if len(parts.values) % stored.itemsize or len(parts.values) > stored.itemsize * spec.count:
        raise Damage(f"{spec.name!r} has {len(parts.values)} bytes, which does not fit its shape")
    return np.frombuffer(parts.values, stored)


def _symbols(form: Form, alphabet: Alphabet, parts: Parts, spec: TensorSpec) -> np.ndarray:
    """Return the symbol of each element, that of zero included: uint8, flat."""
    read, mask = SYMBOL_CODERS[form.symbols].read, _read_mask(form, parts, spec)
    if mask is None:
        return read(parts.values, spec.count, alphabet.size)
    ones, size = int(np.count_nonzero(mask)), alphabet.size - 1
    if ones and not size:
        raise Damage(f"{spec.name!r} has {ones} elements that are not zero and no code for them")
    others = read(parts.values, ones, size)
    symbols = np.full(spec.count, alphabet.zero, np.uint8)
    symbols[mask] = others + (others >= alphabet.zero)
    return symbols


def _bound(parts: Parts, spec: TensorSpec) -> float:
    form = Form.of(parts.other[0])
    alphabet = _read_alphabet(form, Reader(parts.codebook), spec)
    if alphabet is None:
        return bound_of_elements(_plain_values(form, parts, spec), spec.count)
    return bound_of_codes(_symbols(form, alphabet, parts, spec))


def _label(parts: Parts) -> str:
    return str(Form.of(parts.other[0]))


COMPOSED = Coding("composed", encode_composed, _split, _decode, _bound, since=3, label=_label)

"""Which composition is the smallest: lengths are estimated for all, and only the best is written.

Elements are *scaled*, a *palette* or plain; zeros are symbols like others or written apart. For
each of these the best way to write the positions and the best way to write the symbols are found
apart from each other. What is estimated is near enough to the truth to choose by; the length that
counts is that of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lwlab.packing.alphabets import Alphabet, scaled_symbols, table_symbols
from lwlab.packing.coding import Content, Parts
from lwlab.packing.floats16 import FLOAT16_BYTES
from lwlab.packing.form import PALETTE, PLAIN, SCALED, Form
from lwlab.packing.patterns import MOST_PATTERNS
from lwlab.packing.positions import NOWHERE, POSITION_CODERS, best_positions, matrix_shape
from lwlab.packing.symbols import PACKED, SYMBOL_CODERS, shortest
from lwlab.packing.varint import varint

__all__ = ["ELEMENTS_PER_BYTE", "encode_composed"]

ELEMENTS_PER_BYTE = 1024
_NEW_FAMILIES = frozenset({"half", "gaps", "mask", "huffman", "range"})  # since format 3
_WORTH_A_TRY = 0.998  # of a length that is there already: estimates are not better than that


@dataclass(frozen=True, eq=False)
class _Draft:
    """A composition that is not written yet.

    Attributes:
        estimate: its bytes, more or less.
        form: which way of each kind.
        codebook: its bytes.
        mask: the positions as a matrix, or None.
        values: symbols, flat; plain elements where the form says so.
        size: how many different symbols there may be.
    """

    estimate: float
    form: Form
    codebook: bytes
    mask: np.ndarray | None
    values: np.ndarray
    size: int = 0


def encode_composed(content: Content, below: int) -> Parts | None:
    """Return the smallest composition of fewer than ``below`` bytes, or None."""
    if not content.flat.size or content.families.isdisjoint(_NEW_FAMILIES):
        return None
    best = None
    for draft in sorted(_drafts(content, below), key=lambda draft: draft.estimate):
        if draft.estimate >= _WORTH_A_TRY * below:
            break
        parts = _written(draft, content.flat.size)
        if parts.size < below:
            best, below = parts, parts.size
    return best


def _written(draft: _Draft, count: int) -> Parts:
    positions = b""
    if draft.mask is not None:
        positions = POSITION_CODERS[draft.form.positions].write(draft.mask)
        positions = varint(len(positions)) + positions
    values = draft.values.view(np.uint8)
    if draft.form.elements != PLAIN:
        values = SYMBOL_CODERS[draft.form.symbols].write(draft.values, draft.size)
    parts = Parts(bytes([draft.form.byte]), draft.codebook, positions, values)
    least = -(-count // ELEMENTS_PER_BYTE)
    if parts.size >= least:
        return parts
    filled = replace(draft.form, filled=True)
    return replace(parts, other=bytes([filled.byte]) + bytes(least))


def _drafts(content: Content, below: int) -> Iterator[_Draft]:
    steps = scaled_symbols(content) if "scaled" in content.families else None
    if steps is not None:
        yield from _drafts_of_symbols(content, SCALED, *steps, below)
    if "palette" in content.families and _table_may_pay(content, steps, below):
        table = table_symbols(content)
        if table is not None:
            yield from _drafts_of_symbols(content, PALETTE, *table, below)
    if 0 < content.nonzero < content.flat.size:
        yield from _drafts_of_elements(content, below)


def _table_may_pay(content: Content, steps: tuple | None, below: int) -> bool:
    """Return whether the search for patterns can be worth its time."""
    half = content.stored.name == "float32" and "half" in content.families
    entry_bytes = FLOAT16_BYTES if half else content.flat.itemsize
    least = 2 + len(content.sampled) * entry_bytes
    if steps is not None:  # the symbols are the same at best
        return least < len(steps[0].codebook(apart=False, half=False))
    return len(content.sampled) <= MOST_PATTERNS and least < below


def _drafts_of_symbols(
    content: Content, elements: int, alphabet: Alphabet, symbols: np.ndarray, below: int
) -> Iterator[_Draft]:
    counts = np.bincount(symbols, minlength=alphabet.size)
    yield from _with_best_coder(content, elements, alphabet, None, symbols, counts, below)
    zero = alphabet.zero
    if zero is not None and 0 < counts[zero] < symbols.size:
        mask, others = symbols != zero, np.delete(counts, zero)
        left = symbols[mask]
        left -= left > zero
        yield from _with_best_coder(content, elements, alphabet, mask, left, others, below)


def _with_best_coder(
    content: Content,
    elements: int,
    alphabet: Alphabet,
    mask: np.ndarray | None,
    symbols: np.ndarray,
    counts: np.ndarray,
    below: int,
) -> Iterator[_Draft]:
    positions, matrix, spent = NOWHERE, None, 1.0
    if mask is not None:
        matrix = mask.reshape(matrix_shape(content.bits.shape, mask.size))
        found = best_positions(matrix, content.families)
        if found is None:
            return
        positions, spent = found[0], 1 + _delimited(found[1])
    half, codebook = _codebook(content, alphabet, apart=mask is not None)
    spent += len(codebook)
    found = shortest(symbols, counts, content.families, below - spent)
    if found is not None:
        form = Form(elements, positions, found[0], half)
        yield _Draft(spent + found[1], form, codebook, matrix, symbols, len(counts))


def _codebook(content: Content, alphabet: Alphabet, *, apart: bool) -> tuple[bool, bytes]:
    """Return whether the codebook is in float16, and its bytes."""
    short = alphabet.codebook(apart=apart, half=True) if "half" in content.families else None
    if short is not None:
        return True, short
    return False, alphabet.codebook(apart=apart, half=False)


def _drafts_of_elements(content: Content, below: int) -> Iterator[_Draft]:
    mask = (content.flat != 0).reshape(matrix_shape(content.bits.shape, content.flat.size))
    found = best_positions(mask, content.families)
    if found is None:
        return
    halves = content.halves if "half" in content.families else None
    elements = content.flat if halves is None else halves
    estimate = 1 + _delimited(found[1]) + content.nonzero * elements.itemsize
    if estimate < below:
        form = Form(PLAIN, found[0], PACKED, half=halves is not None)
        yield _Draft(estimate, form, b"", mask, elements[mask.reshape(-1)])


def _delimited(length: float) -> float:
    return length + len(varint(int(length)))

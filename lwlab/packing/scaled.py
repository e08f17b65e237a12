"""Scaled coding: codes of 1 to 8 bits, and the scale of each row of them.

    value = step * scale        step = code - zero_point

The zero point of a row is one of its codes and stored with it, or it is in the middle: 2**(b - 1)
for b bits, so that 2 bits mean the steps -2, -1, 0 and 1. With 1 bit there is no middle: the codes
0 and 1 mean the steps -1 and 1 (binary weights).

For n elements in r rows, all of b bits, it takes about ``n * b / 8 + 4 * r`` bytes. The sparse kind
has one bit per element that says whether its step is not 0, and codes only for these. Ternary
weights then need 1 bit for a code: their steps are -1 and 1.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.bits import bitmask_length, check_bitmask, count_ones, pack_bits, unpack_bits
from lwlab.packing.bound import bound_of_codes
from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.coding import Coding, Content, Parts
from lwlab.packing.errors import Damage
from lwlab.packing.scaled_head import Head, by_width, read_head, write_head
from lwlab.packing.steps import Steps, bits_from_steps
from lwlab.packing.tensors import TensorSpec
from lwlab.packing.varint import Reader

__all__ = ["SCALED", "SPARSE_SCALED"]


def _encode(content: Content, below: int) -> Parts | None:
    steps = content.steps
    head = None if steps is None else _head_for(steps, steps.widths, sparse=False)
    return None if head is None else _parts(content, head, None, below)


def _encode_sparse(content: Content, below: int) -> Parts | None:
    steps = content.steps
    if steps is None:
        return None
    ternary = steps.lowest.min() >= -1 and steps.highest.max() <= 1
    widths = np.ones_like(steps.widths) if ternary else steps.widths
    least_bits = content.flat.size + content.nonzero * int(widths.min())
    if bitmask_length(least_bits) >= below:
        return None
    head = _head_for(steps, widths, sparse=True)
    return None if head is None else _parts(content, head, steps.numbers != 0, below)


def _head_for(steps: Steps, widths: np.ndarray, *, sparse: bool) -> Head | None:
    """Return the head with which the steps have codes of these widths, or None."""
    binary, half = widths == 1, 1 << widths - 1
    low, high = np.where(binary, -1, -half), np.where(binary, 1, half - 1)
    inside = ((steps.lowest >= low) & (steps.highest <= high)).all()
    # A step of 0 has no code with 1 bit: only the sparse kind can say it.
    if inside and (sparse or not binary.any() or steps.numbers[binary].all()):
        return Head(steps.rows, steps.scale, widths, None)
    zero_points = np.maximum(-steps.lowest, 0)
    if (zero_points + np.maximum(steps.highest, 0) >= 1 << widths).any():
        return None
    return Head(steps.rows, steps.scale, widths, zero_points)


def _parts(content: Content, head: Head, mask: np.ndarray | None, below: int) -> Parts | None:
    """Return the parts, or None if they take ``below`` bytes or more: before anything is packed."""
    steps, codebook = content.steps, write_head(head, content.bits.shape)
    positions_bytes = 0 if mask is None else bitmask_length(mask.size)
    values_bytes = sum(_lengths(_counts(head, steps.numbers.shape[1], mask)).values())
    if len(codebook) + positions_bytes + values_bytes >= below:
        return None
    runs = []
    for width, which in by_width(head.widths):
        codes = _codes(steps.numbers[which], width, head.points(which))
        chosen = codes.reshape(-1) if mask is None else codes[mask[which]]
        runs.append(pack_codes(chosen.astype(np.uint8), width))
    positions = b"" if mask is None else pack_bits(mask)
    return Parts(codebook=codebook, positions=positions, values=np.concatenate(runs))


def _codes(numbers: np.ndarray, width: int, zero_points: np.ndarray | None) -> np.ndarray:
    """Return the codes of steps (rows, elements of a row), all of one width."""
    if zero_points is not None:
        return numbers + zero_points[:, None]
    return numbers + 1 >> 1 if width == 1 else numbers + (1 << width - 1)


def _numbers(codes: np.ndarray, width: int, zero_points: np.ndarray | None) -> np.ndarray:
    """Return the steps of codes: the inverse of ``_codes``."""
    if zero_points is not None:
        return codes - zero_points[:, None]
    return 2 * codes - 1 if width == 1 else codes - (1 << width - 1)


def _counts(head: Head, length: int, mask: np.ndarray | None) -> dict[int, int]:
    """Return how many codes there are of each width."""
    return {
        width: len(head.scale[which]) * length if mask is None else int(mask[which].sum())
        for width, which in by_width(head.widths)
    }


def _lengths(counts: dict[int, int]) -> dict[int, int]:
    return {width: codes_length(count, width) for width, count in counts.items()}


def _split(payload: memoryview, spec: TensorSpec) -> Parts:
    head, length, codebook, values = _split_head(payload, spec)
    _runs(values, _counts(head, length, None), spec)
    return Parts(codebook=codebook, values=values)


def _split_sparse(payload: memoryview, spec: TensorSpec) -> Parts:
    head, _, codebook, left = _split_head(payload, spec)
    length = bitmask_length(spec.count)
    if length > len(left):
        raise Damage(f"{spec.name!r} has {len(left)} bytes, too few for its bitmask")
    positions, values = left[:length], left[length:]
    check_bitmask(positions, spec.count)
    if not head.has_own_widths:  # else only the unpacked mask knows how many there are of each
        _runs(values, {int(head.widths[0]): count_ones(positions)}, spec)
    return Parts(codebook=codebook, positions=positions, values=values)


def _split_head(payload: memoryview, spec: TensorSpec) -> tuple[Head, int, memoryview, memoryview]:
    """Return the head, the elements of a row, the bytes of the head and those after it."""
    if not spec.stored.dtype.is_floating_point:
        raise Damage(f"{spec.name!r} has scales, which {spec.stored.name} cannot have")
    reader = Reader(payload)
    head, length = read_head(reader, spec)
    return head, length, payload[: reader.position], payload[reader.position :]


def _runs(values: memoryview, counts: dict[int, int], spec: TensorSpec) -> dict[int, memoryview]:
    """Return the codes of each width, still packed; ``counts`` says how many there must be."""
    lengths = _lengths(counts)
    if len(values) != sum(lengths.values()):
        raise Damage(
            f"{spec.name!r} has {len(values)} bytes of codes where it needs {sum(lengths.values())}"
        )
    reader = Reader(values)
    runs = {width: reader.take(length) for width, length in lengths.items()}
    for width, run in runs.items():
        check_codes(run, counts[width], width)
    return runs


def _decode(parts: Parts, spec: TensorSpec) -> np.ndarray:
    head, numbers = _all_numbers(parts, spec)
    return bits_from_steps(numbers, head.scale, head.rows, spec.shape, spec.stored).reshape(-1)


def _bound(parts: Parts, spec: TensorSpec) -> float:
    return bound_of_codes(_all_numbers(parts, spec)[1].reshape(-1))


def _all_numbers(parts: Parts, spec: TensorSpec) -> tuple[Head, np.ndarray]:
    """Return the head and the steps, int16, (rows, elements of a row)."""
    head, length = read_head(Reader(parts.codebook), spec)
    shape = (len(head.scale), length)
    mask = unpack_bits(parts.positions, spec.count).reshape(shape) if len(parts.positions) else None
    counts = _counts(head, length, mask)
    runs = _runs(parts.values, counts, spec)
    numbers = np.zeros(shape, np.int16)
    for width, which in by_width(head.widths):
        codes = unpack_codes(runs[width], counts[width], width)
        chosen = np.ones_like(numbers[which], np.bool_) if mask is None else mask[which]
        spread = np.zeros(chosen.shape, np.int16)
        spread[chosen] = codes
        numbers[which] = np.where(chosen, _numbers(spread, width, head.points(which)), 0)
    return head, numbers


SCALED = Coding("scaled", _encode, _split, _decode, _bound, since=2, families=frozenset({"scaled"}))
SPARSE_SCALED = Coding(
    "sparse scaled",
    _encode_sparse,
    _split_sparse,
    _decode,
    _bound,
    since=2,
    families=frozenset({"scaled", "bitmask"}),
)

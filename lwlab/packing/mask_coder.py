"""Masks in fewer bytes than one bit per element, and fewer still where ones lie together.

A mask of n elements, a fraction p of them ones, needs n * H(p) bits if the ones are anywhere, with
``H(p) = -p * log2(p) - (1 - p) * log2(1 - p)``. Here it takes that, or less where it is more
regular: rows and columns of different density, ones that lie together, patterns such as 2 of 4.
Which of these models takes the fewest bytes is tried out::

    1 byte    1, 4 or 8: so many elements in C order, the first lowest, are one symbol of
              ``encode_symbols`` (see ``range_coder.py``); the last is filled up with zeros.
              2: each element has a probability from its row and column, as in
              ``mask_chances.py``; 3: and from its neighbourhood
    1 byte    only after a 3: the lag of the neighbourhood, 3 or more
    the rest  of the range coder, of the symbols, or of the elements step by step
"""

from __future__ import annotations

import math

import constriction
import numpy as np

from lwlab.packing.errors import Damage
from lwlab.packing.mask_chances import Known, chances, steps_in_order
from lwlab.packing.range_coder import (
    bound_bytes,
    decode_symbols,
    encode_symbols,
    estimate_bytes,
    finish,
    read,
    start,
)

__all__ = ["decode_mask", "encode_mask", "estimate_mask_bytes"]

_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)
_GROUPS = (1, 4, 8)
_STRIPES, _NEIGHBOURS = 2, 3
_LEAST_LAG, _MOST_LAG = 3, 255
_SAMPLED_ROWS = 64  # among which the lag is looked for


def encode_mask(mask: np.ndarray) -> bytes:
    """Return ``mask`` as bytes, in the smallest of the forms above.

    Args:
        mask: bool, (rows, columns).
    """
    if not mask.size:
        return b""
    costs = _costs(mask)
    return _encoded(mask, min(costs, key=costs.get))


def estimate_mask_bytes(mask: np.ndarray) -> float:
    """Return how many bytes ``encode_mask`` takes, to about two bytes, without encoding."""
    return min(_costs(mask).values()) if mask.size else 0.0


def decode_mask(data: memoryview | bytes, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask that ``encode_mask`` wrote: bool, of ``shape``.

    Raises:
        Damage: no mask is written like this.
    """
    if not math.prod(shape):
        if len(data):
            raise Damage(f"its mask takes {len(data)} bytes where it needs none")
        return np.zeros(shape, np.bool_)
    model = _model_of(data)
    if model[0] in _GROUPS:
        return _ungrouped(data[1:], shape, model[0])
    (order, begins), known = steps_in_order(shape), Known(shape, _lag_of(model))
    decoder = start(data[len(model) :])
    for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        probabilities = known.chances(order[begin:end], begin)
        known.learn(read(decoder, _BERNOULLI, probabilities).astype(np.bool_))
    # Bytes that no writer makes would decode as well: what was left out is taken for zeros.
    if _encoded(known.mask, model) != bytes(data):
        raise Damage("its mask is cut off, or followed by something else")
    return known.mask


def _model_of(data: memoryview | bytes) -> bytes:
    """Return the first byte, or the first two."""
    head = bytes(data[:2])
    if head and head[0] in (*_GROUPS, _STRIPES):
        return head[:1]
    if len(head) == 2 and head[0] == _NEIGHBOURS and head[1] >= _LEAST_LAG:
        return head
    raise Damage("its mask has an unknown model")


def _lag_of(model: bytes) -> int | None:
    return model[1] if model[0] == _NEIGHBOURS else None


def _encoded(mask: np.ndarray, model: bytes) -> bytes:
    if model[0] in _GROUPS:
        return model + encode_symbols(_grouped(mask, model[0]), 1 << model[0])
    order, _ = steps_in_order(mask.shape)
    bits = mask.reshape(-1)[order].astype(np.int32)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(bits, _BERNOULLI, chances(mask, _lag_of(model))[order])
    return model + finish(encoder)


def _costs(mask: np.ndarray) -> dict[bytes, float]:
    """Return about how many bytes the mask takes with each model that makes sense."""
    single = 1 + estimate_bytes(_grouped(mask, 1), 2)
    costs = {bytes([1]): single}
    for group in _GROUPS[1:]:
        symbols = _grouped(mask, group)
        if bound_bytes(np.bincount(symbols)) < 0.95 * single:  # else it cannot win
            costs[bytes([group])] = 1 + estimate_bytes(symbols, 1 << group)
    models = [bytes([_STRIPES])]
    if lag := _likely_lag(mask):
        models.append(bytes([_NEIGHBOURS, lag]))
    return costs | {model: _cost(mask, model) for model in models}


def _cost(mask: np.ndarray, model: bytes) -> float:
    ones = chances(mask, _lag_of(model))
    bits = -np.log2(np.where(mask.reshape(-1), ones, 1 - ones)).sum()
    return len(model) + 0.5 + float(bits) / 8


def _likely_lag(mask: np.ndarray) -> int:
    """Return after how many columns a one is most often followed by another, or 0: too few."""
    rows = mask[:: max(1, len(mask) // _SAMPLED_ROWS)].astype(np.float32)
    columns = rows.shape[1]
    if columns < 2 * (_LEAST_LAG + 1):
        return 0
    # How many pairs of ones there are at each distance, by the theorem of Wiener and Khinchin.
    spectrum = np.abs(np.fft.rfft(rows, 1 << (2 * columns - 1).bit_length())) ** 2
    pairs = np.fft.irfft(spectrum.sum(axis=0))[: min(columns // 2, _MOST_LAG + 1)]
    return _LEAST_LAG + int(np.argmax(pairs[_LEAST_LAG:]))


def _grouped(mask: np.ndarray, group: int) -> np.ndarray:
    """Return so many elements at a time as one number, the first as its lowest bit: uint8."""
    if group == 1:
        return mask.reshape(-1).view(np.uint8)
    octets = np.packbits(mask.reshape(-1), bitorder="little")
    if group == 8:
        return octets
    halves = np.stack([octets & 15, octets >> 4], axis=1).reshape(-1)
    return halves[: -(-mask.size // group)]


def _ungrouped(data: memoryview | bytes, shape: tuple[int, int], group: int) -> np.ndarray:
    size = math.prod(shape)
    symbols = decode_symbols(data, -(-size // group), 1 << group)
    bits = np.unpackbits(symbols[:, None], axis=1, bitorder="little")[:, :group].reshape(-1)
    if bits[size:].any():
        raise Damage("its mask goes on after its last element")
    return bits[:size].view(np.bool_).reshape(shape)

"""An entropy coder for whole numbers: about as many bytes as Shannon's bound, without a table.

A range coder spends ``-log2 p`` bits on a symbol that has probability p, parts of a bit included,
where Huffman codes have whole bits (G. N. N. Martin, 1979). The coder itself is that of the
``constriction`` library (R. Bamler, 2022). What it needs are probabilities, and these are *learned
from the symbols before*, by reader and writer alike, so that nothing is stored for them.

Symbols come in blocks, each of an eighth of all that came before it, or of one symbol. In a block
the symbol s has the weight

    count(s) + prior(s)

where the counts are those of all earlier blocks, and the prior is what is thought of symbols that
were not seen yet. There are several (``_PRIORS``); the writer takes the one that needs the fewest
bits, and its number is the first byte. Weights are whole numbers, and nothing but sums, products
and quotients is taken of them, so that they are the same on every machine.

The rest are the bytes of the coder, first the highest of its 32-bit words. Any number in its last
interval will do: the one with the most zeros at its end is taken, and those zeros are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import constriction
import numpy as np

from lwlab.packing.errors import Damage

__all__ = [
    "bound_bytes",
    "decode_symbols",
    "encode_symbols",
    "estimate_bytes",
    "finish",
    "read",
    "start",
]

_Encoder = constriction.stream.queue.RangeEncoder
_Decoder = constriction.stream.queue.RangeDecoder
_Categorical = constriction.stream.model.Categorical

_EVEN, _FEW = 0, 1
# Number 2 and on: radius and strength of a bell, and whether the most frequent symbol is in it.
_BELLS = (
    *((1, strength, True) for strength in (4, 16, 64, 256)),
    *((radius, strength, False) for radius in (1, 4, 16, 64) for strength in (4, 16, 64, 256)),
)
_PRIORS = 2 + len(_BELLS)
_ONE = 1 << 20  # a count, where priors are parts of one


def encode_symbols(symbols: np.ndarray, alphabet: int) -> bytes:
    """Return the symbols in close to ``bound_bytes`` of their counts.

    Args:
        symbols: uint8, flat, each below ``alphabet``.
        alphabet: how many different symbols there may be, 1 to 256.
    """
    if alphabet == 1 or not symbols.size:
        return b""
    costs = _costs(symbols, alphabet)
    prior = min(costs, key=costs.get)
    return bytes([prior]) + _encoded(symbols, alphabet, prior)


def decode_symbols(data: memoryview | bytes, count: int, alphabet: int) -> np.ndarray:
    """Return the ``count`` symbols that ``encode_symbols`` wrote: uint8, flat.

    Raises:
        Damage: no symbols are written like this.
    """
    if alphabet == 1 or not count:
        if len(data):
            raise Damage(f"its codes take {len(data)} bytes where they need none")
        return np.zeros(count, np.uint8)
    if not len(data) or data[0] >= _PRIORS:
        raise Damage("its codes have an unknown prior")
    prior, decoder = data[0], start(data[1:])
    symbols, counts = np.empty(count, np.uint8), np.zeros((1, alphabet), np.int64)
    for begin, end in _blocks(count):
        symbols[begin:end] = read(decoder, _model(_weights(counts, prior)[0]), end - begin)
        counts[0] += np.bincount(symbols[begin:end], minlength=alphabet)
    # Bytes that no writer makes would decode as well: what was left out is taken for zeros.
    if _encoded(symbols, alphabet, prior) != bytes(data[1:]):
        raise Damage("its codes are cut off, or followed by something else")
    return symbols


def estimate_bytes(symbols: np.ndarray, alphabet: int) -> float:
    """Return how many bytes ``encode_symbols`` takes, to a byte or two, without encoding."""
    if alphabet == 1 or not symbols.size:
        return 0.0
    return 1.5 + min(_costs(symbols, alphabet).values()) / 8


def bound_bytes(counts: np.ndarray) -> float:
    """Return Shannon's bound n * H / 8 for symbols that occur so often.

    H = sum of ``-p * log2 p`` with p = count / n: no code for symbols that are drawn one by one,
    with these probabilities known to the reader, is shorter on average (C. E. Shannon, 1948).

    Args:
        counts: how often each symbol occurs, any shape; 0 is allowed.
    """
    seen = np.asarray(counts, np.float64)
    seen = seen[seen > 0]
    return float((seen * np.log2(seen.sum() / seen)).sum()) / 8


def _encoded(symbols: np.ndarray, alphabet: int, prior: int) -> bytes:
    encoder, blocks = _Encoder(), _blocks(symbols.size)
    weights = _weights(_before(_block_counts(symbols, alphabet, blocks)), prior)
    wide = symbols.astype(np.int32)
    for (begin, end), weight in zip(blocks, weights, strict=True):
        encoder.encode(wide[begin:end], _model(weight))
    return finish(encoder)


def _model(weights: np.ndarray) -> object:
    return _Categorical(weights.astype(np.float64), perfect=False)


def _blocks(count: int) -> list[tuple[int, int]]:
    """Return begin and end of each block: an eighth of what came before, at least 1 symbol."""
    blocks, begin = [], 0
    while begin < count:
        end = min(begin + max(1, begin // 8), count)
        blocks.append((begin, end))
        begin = end
    return blocks


def _block_counts(symbols: np.ndarray, alphabet: int, blocks: list) -> np.ndarray:
    """Return how often each block has each symbol: int64, (blocks, alphabet)."""
    sizes = [end - begin for begin, end in blocks]
    cells = np.repeat(np.arange(len(blocks)) * alphabet, sizes) + symbols
    return np.bincount(cells, minlength=len(blocks) * alphabet).reshape(-1, alphabet)


def _before(counts: np.ndarray) -> np.ndarray:
    """Return the sums of all earlier rows."""
    return np.cumsum(counts, axis=0) - counts


def _costs(symbols: np.ndarray, alphabet: int) -> dict[int, float]:
    """Return the bits that the symbols take with each prior that makes sense."""
    own = _block_counts(symbols, alphabet, _blocks(symbols.size))
    before, costs = _before(own), {}
    spread = cache(partial(_spread, before))  # several bells differ in their strength alone
    for prior in range(_PRIORS):
        if prior < 2 or _BELLS[prior - 2][0] < alphabet:
            weights = _weights(before, prior, spread).astype(np.float64)
            total = (own.sum(axis=1) * np.log2(weights.sum(axis=1))).sum()
            # No dot product: for so few numbers its threads cost more than they save.
            costs[prior] = float(total - (own * np.log2(weights)).sum())
    return costs


def _weights(counts: np.ndarray, prior: int, spread: Callable | None = None) -> np.ndarray:
    """Return the weights of the symbols: int64, (blocks, alphabet), all above 0.

    Args:
        counts: of all earlier blocks, (blocks, alphabet).
        prior: 0 *even*, half a count for each symbol (Krichevsky and Trofimov, 1981); 1 *few*, one
            count for all symbols together, for alphabets of which few are used; else a bell.
        spread: ``_spread`` of these counts, where its results are remembered.
    """
    if prior == _EVEN:
        return 2 * counts + 1
    if prior == _FEW:
        return counts.shape[1] * counts + 1
    radius, strength, with_top = _BELLS[prior - 2]
    spread = spread or partial(_spread, counts)
    return counts * _ONE + strength * spread(radius, with_top) + 1


def _spread(counts: np.ndarray, radius: int, with_top: bool) -> np.ndarray:
    """Return one count, in parts of ``_ONE``, spread like those of the symbols around.

    The codes of weights are distributed like a bell: neighbours are about as frequent. The most
    frequent symbol may be left out of it: the zero of pruned weights stands out from the others.
    """
    seen = counts.copy()
    if not with_top:
        seen[np.arange(len(seen)), counts.argmax(axis=1)] = 0
    smooth = 4 * _smoothed(seen, radius) + radius + 1
    return smooth * _ONE // smooth.sum(axis=1, keepdims=True)


def _smoothed(counts: np.ndarray, radius: int) -> np.ndarray:
    """Return sums over each symbol's surroundings, of weights 1, 2 .. radius + 1 .. 2, 1.

    Such a triangle is a window of radius + 1, moved over the sums of such windows.
    """
    width = radius + 1
    sums = np.zeros((len(counts), counts.shape[1] + 2 * width), np.int64)
    sums[:, width + 1 : width + 1 + counts.shape[1]] = counts
    for _ in range(2):
        totals = np.cumsum(sums, axis=1)
        sums = totals[:, width:] - totals[:, :-width]
    return sums


def finish(encoder: _Encoder) -> bytes:
    """Return what ``encoder`` wrote, in as few bytes as can be; those left out are zeros."""
    data = encoder.get_compressed().astype(">u4").tobytes()
    position, (low, width) = encoder.pos()  # the last 64 bits may be low to low + width - 1
    head, tail = data[: 4 * position], data[4 * position :]
    if int.from_bytes(tail.ljust(8, b"\0"), "big") < low:
        return data.rstrip(b"\0")  # the coder went beyond 2**64: the head is one more, the rest 0
    for length in range(len(tail)):
        unit = 1 << 64 - 8 * length
        point = -(-low // unit) * unit
        if point < min(low + width, 1 << 64):
            tail = point.to_bytes(8, "big")[:length]
            break
    return (head + tail).rstrip(b"\0")


def start(data: memoryview | bytes) -> _Decoder:
    """Return a decoder of what ``finish`` returned."""
    padded = bytes(data) + bytes(8 + -len(data) % 4)
    return _Decoder(np.frombuffer(padded, ">u4").astype(np.uint32))


def read(decoder: _Decoder, *model: object) -> np.ndarray:
    """Return the next symbols: int32.

    Args:
        decoder: from ``start``.
        model: a model and how many symbols, or a family and its parameters.

    Raises:
        Damage: there are none that are coded like this.
    """
    try:
        return decoder.decode(*model)
    except AssertionError:
        raise Damage("its codes are none that a coder writes") from None

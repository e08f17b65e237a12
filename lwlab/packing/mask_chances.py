"""How likely each element of a mask is a one, learned from the elements before.

In a pruned network the ones are not just anywhere: some inputs (the border of an image) and some
neurons lose nearly all of their weights, and what a neuron keeps lies together. So an element has

    odds = odds of the whole mask * factor of its row * factor of its column

all of them from the elements known so far. Of ``seen`` elements of its row ``ones`` are ones, where
the mean of the mask lets expect ``e``: the factor of the row is ``(ones + 1) / (e + 1)`` over the
same for the zeros; that of a column likewise. Elements of about the same odds (to half a power of
two) with as many ones in their *neighbourhood* share a bin, and the probability in use is

    (ones in the bin + what its odds mean) / (elements in the bin + 1)

The neighbourhood are those that stand 1, 2, ``lag - 1``, ``lag`` and ``lag + 1`` before it in its
row: with a lag of 28, in an image 28 wide, pixels to the left and above. Without a lag, all
neighbourhoods are alike.

Row i and column j are known up to their crossing if one goes by ascending i + j: all elements of a
diagonal make one *step*. (In a matrix of more than 1,024 rows, or columns, several of them go
together: i and j are first divided by so many.) The writer has all elements and counts for all
steps at once (``chances``), the reader after each step (``Known``). Numbers other than counts are
float32, made by one sum, product or quotient at a time: the same on every machine.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["Known", "chances", "steps_in_order"]

_MOST_STEPS = 1024  # in each direction
_EXPONENT = 20  # odds of 2**-20 to 2**20 are told apart
_HALF_ROOT = np.float32(0.7071067811865476)
_BINS = 4 * _EXPONENT  # of one neighbourhood
_ODDS = np.ldexp(np.tile([0.59, 0.84], 2 * _EXPONENT), np.arange(_BINS) // 2 - _EXPONENT)
_EXPECTED = np.tile(_ODDS / (1 + _ODDS), 6)  # for neighbourhoods with 0 to 5 ones


def steps_in_order(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the elements in C order, step by step, and where each step begins.

    Returns:
        int64, (n,), and int64, (steps + 1,): the last is n.
    """
    step = _steps(shape).astype(np.uint16).reshape(-1)
    return np.argsort(step, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(step))])


def _steps(shape: tuple[int, int]) -> np.ndarray:
    """Return in which step each element is coded: int64, (rows, columns)."""
    rows, columns = (
        np.arange(size) // tile for size, tile in zip(shape, _tile(shape), strict=True)
    )
    return rows[:, None] + columns


def _tile(shape: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows, and how many columns, go together."""
    rows, columns = shape
    return -(-rows // _MOST_STEPS), -(-columns // _MOST_STEPS)


def chances(mask: np.ndarray, lag: int | None) -> np.ndarray:
    """Return the probability of a one for each element, when its turn comes.

    Args:
        mask: bool, (rows, columns), not empty.
        lag: 3 or more, or None: all neighbourhoods are alike.

    Returns:
        float64, (rows * columns,), in C order.
    """
    steps, flat = _steps(mask.shape), mask.reshape(-1)
    step, (row_tile, column_tile) = steps.reshape(-1), _tile(mask.shape)
    seen = np.bincount(step)
    means = _mean(_before(np.bincount(step[flat], minlength=len(seen))), _before(seen))
    row, column = (np.arange(size) for size in mask.shape)
    row_seen, column_seen = column // column_tile * column_tile, row // row_tile * row_tile
    in_row = np.take(_before(mask.astype(np.int32), axis=1), row_seen, axis=1)
    in_column = np.take(_before(mask.astype(np.int32), axis=0), column_seen, axis=0)
    bins = _bins(in_row, row_seen, in_column, column_seen[:, None], means[steps])
    if lag is not None:
        bins += _BINS * _neighbours(mask, lag, column_tile)
    return _learned(bins.reshape(-1), step, flat)


def _learned(bins: np.ndarray, step: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Return the probability for each element from those of its bin in earlier steps."""
    used = np.flatnonzero(np.bincount(bins))  # most are not: the tables below are small
    rank = np.zeros(_EXPECTED.size, np.int64)
    rank[used] = np.arange(len(used))
    cells, shape = step * len(used) + rank[bins], (int(step[-1]) + 1, len(used))
    seen = np.bincount(cells, minlength=math.prod(shape)).reshape(shape)
    ones = np.bincount(cells[flat], minlength=math.prod(shape)).reshape(shape)
    return ((_before(ones) + _EXPECTED[used]) / (_before(seen) + 1)).reshape(-1)[cells]


def _before(counts: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the sums of all earlier ones along an axis."""
    return np.cumsum(counts, axis=axis, dtype=counts.dtype) - counts


def _lags(lag: int) -> list[int]:
    return sorted({1, 2, lag - 1, lag, lag + 1})


def _neighbours(mask: np.ndarray, lag: int, tile: int) -> np.ndarray:
    """Return how many ones each element has in its neighbourhood, of those that are known."""
    found, columns = np.zeros(mask.shape, np.int8), np.arange(mask.shape[1])
    for distance in _lags(lag):
        known = columns[distance:] // tile > columns[:-distance] // tile
        found[:, distance:] += mask[:, :-distance] & known
    return found.astype(np.int64)


class Known:
    """What the reader knows of a mask, and how likely the elements of the next step are ones.

    Args:
        shape: rows and columns.
        lag: as for ``chances``.
    """

    def __init__(self, shape: tuple[int, int], lag: int | None) -> None:
        self._lags = [] if lag is None else _lags(lag)
        self._columns, self._tile = shape[1], _tile(shape)
        self._padding = max(self._lags, default=0)  # zeros, left of each row
        self._padded = np.zeros((shape[0], self._padding + shape[1]), np.bool_)
        self._in_row, self._in_column = (np.zeros(size, np.int32) for size in shape)
        self._seen, self._ones = np.zeros((2, _EXPECTED.size), np.int64)

    @property
    def mask(self) -> np.ndarray:
        """The elements known so far; the others are False."""
        return np.ascontiguousarray(self._padded[:, self._padding :])

    def chances(self, places: np.ndarray, before: int) -> np.ndarray:
        """Return the probability of a one for each element of the next step: float64.

        Args:
            places: where they stand in C order.
            before: how many elements there are in all earlier steps.
        """
        self._row, self._column = np.divmod(places, self._columns)
        self._places = places + (self._row + 1) * self._padding
        row_tile, column_tile = self._tile
        self._bins = _bins(
            self._in_row[self._row],
            self._column // column_tile * column_tile,
            self._in_column[self._column],
            self._row // row_tile * row_tile,
            _mean(self._in_row.sum(), before),
        )
        for distance in self._lags:
            self._bins += _BINS * self._padded.reshape(-1)[self._places - distance]
        seen, ones = self._seen[self._bins], self._ones[self._bins]
        return (ones + _EXPECTED[self._bins]) / (seen + 1)

    def learn(self, bits: np.ndarray) -> None:
        """Take in the elements that ``chances`` was asked for: bool."""
        self._padded.reshape(-1)[self._places] = bits
        self._seen += np.bincount(self._bins, minlength=_EXPECTED.size)
        self._ones += np.bincount(self._bins[bits], minlength=_EXPECTED.size)
        np.add.at(self._in_row, self._row[bits], 1)
        np.add.at(self._in_column, self._column[bits], 1)


def _mean(ones: np.ndarray | int, seen: np.ndarray | int) -> np.ndarray:
    return ((np.asarray(ones) + 0.5) / (np.asarray(seen) + 1.0)).astype(np.float32)


def _bins(
    in_row: np.ndarray,
    row_seen: np.ndarray,
    in_column: np.ndarray,
    column_seen: np.ndarray,
    mean: np.ndarray,
) -> np.ndarray:
    """Return the bin of each element, for a neighbourhood without ones: int64.

    Args:
        in_row: ones known in its row.
        row_seen: elements known in its row.
        in_column: ones known in its column.
        column_seen: elements known in its column.
        mean: ones per element, in all that is known of the mask.
    """
    row, column = _weigh(in_row, row_seen, mean), _weigh(in_column, column_seen, mean)
    mantissa, exponent = np.frexp(mean * row[0] * column[0] / ((1 - mean) * row[1] * column[1]))
    bins = 2 * (exponent + _EXPONENT) + (mantissa >= _HALF_ROOT)
    return np.clip(bins, 0, _BINS - 1).astype(np.int64)


def _weigh(ones: np.ndarray, seen: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two numbers whose quotient is the factor of a row or column: float32."""
    ones, seen = ones.astype(np.float32), seen.astype(np.float32)
    expected = seen * mean
    return (ones + 1) * (seen - expected + 1), (seen - ones + 1) * (expected + 1)

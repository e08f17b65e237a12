"""Which elements of a tensor share a scale: the tensor as rows, one row per scale.

Rows()                 one row: the whole tensor
Rows(axis)             one row for each index of an axis, the other axes flattened in order
Rows(axis, size)       each of these cut into runs of ``size``
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

__all__ = ["Rows"]


@dataclass(frozen=True)
class Rows:
    """How a tensor is cut into rows; what does not fit a shape is refused by ``sizes``.

    >>> Rows(axis=0).sizes((8, 3, 5, 5)), Rows(axis=0, size=25).sizes((8, 3, 5, 5))
    ((8, 75), (24, 25))

    Attributes:
        axis: counted from the front; None for one row.
        size: elements of a row; None for all of an index.
    """

    axis: int | None = None
    size: int | None = None

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return ``(rows, elements of a row)`` for a tensor of ``shape``, not empty.

        Raises:
            ValueError: there is no such axis, no element, or ``size`` does not divide.
        """
        count = prod(shape)
        fits = count > 0 and (self.axis is None or 0 <= self.axis < len(shape))
        if fits and self.axis is None:
            fits = self.size is None
        if fits and self.size is not None:
            fits = self.size > 0 and count // shape[self.axis] % self.size == 0
        if not fits:
            raise ValueError(f"rows must fit the shape {tuple(shape)}, got {self}.")
        if self.axis is None:
            return 1, count
        length = self.size or count // shape[self.axis]
        return count // length, length

    def cut(self, array: np.ndarray) -> np.ndarray:
        """Return ``array`` as a matrix (rows, elements of a row)."""
        sizes = self.sizes(array.shape)
        return (array if self.axis is None else np.moveaxis(array, self.axis, 0)).reshape(sizes)

    def join(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return the array of ``shape`` that ``rows`` were cut from, contiguous."""
        if self.axis is None:
            return rows.reshape(shape)
        first = (shape[self.axis], *shape[: self.axis], *shape[self.axis + 1 :])
        return np.ascontiguousarray(np.moveaxis(rows.reshape(first), 0, self.axis))

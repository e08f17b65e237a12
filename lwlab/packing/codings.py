"""The codings that a file may use, by their number in it, and the choice between them."""

from __future__ import annotations

import numpy as np

from lwlab.packing.coding import Coding, Parts
from lwlab.packing.dense import DENSE
from lwlab.packing.sparse import BITMASK

__all__ = ["CODINGS", "smallest"]

# Written in files: a number is never given to another coding. 15 is taken, by tied tensors.
CODINGS: dict[int, Coding] = {0: DENSE, 1: BITMASK}


def smallest(bits: np.ndarray) -> tuple[int, Parts]:
    """Return the number and the parts of the coding that takes the fewest bytes.

    Args:
        bits: raw bits of a tensor, contiguous, in its shape.

    Of two equally small ones the one with the lower number is taken: the same tensor always gives
    the same bytes.
    """
    best, parts = 0, DENSE.encode(bits, bits.nbytes + 1)
    for number, coding in CODINGS.items():
        shorter = coding.encode(bits, parts.size)
        if shorter is not None:
            best, parts = number, shorter
    return best, parts

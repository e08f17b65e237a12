"""The codings that a file may use, by their number in it, and the choice between them."""

from __future__ import annotations

from lwlab.packing.coding import Coding, Content, Parts
from lwlab.packing.composed import COMPOSED
from lwlab.packing.dense import DENSE
from lwlab.packing.half import HALF
from lwlab.packing.palette import PALETTE, SPARSE_PALETTE
from lwlab.packing.scaled import SCALED, SPARSE_SCALED
from lwlab.packing.sparse import BITMASK

__all__ = ["CODINGS", "smallest"]

# Written in files: a number is never given to another coding. 15 is taken, by tied tensors.
CODINGS: dict[int, Coding] = {
    0: DENSE,
    1: BITMASK,
    2: SCALED,
    3: SPARSE_SCALED,
    4: PALETTE,
    5: SPARSE_PALETTE,
    6: HALF,
    7: COMPOSED,
}
# The likely smallest first: what cannot be smaller than that is not worked out. So the search for
# patterns is spared where there are scales, and the bitmask of floats where there is either.
_ORDER = (2, 3, 4, 5, 1, 6, 0, 7)


def smallest(content: Content) -> tuple[int, Parts]:
    """Return the number and the parts of the coding that takes the fewest bytes.

    Of two equally small ones the one with the lower number is taken: the same tensor always gives
    the same bytes.
    """
    best, parts = len(CODINGS), None
    for number in _ORDER:
        if not CODINGS[number].families <= content.families:
            continue
        size = content.bits.nbytes if parts is None else parts.size
        below = size + (number < best)  # an older one also where it is as small
        shorter = CODINGS[number].encode(content, below)
        if shorter is not None:
            best, parts = number, shorter
    return best, parts

"""Shannon's bound: below it no code can come that knows nothing but how often each symbol occurs.

For n symbols of which s occurs with the frequency p(s) it is ``n * H`` bits with
``H = sum over s of p(s) * log2(1 / p(s))`` (C. E. Shannon, 1948). The zeros count like any other
symbol: that covers their positions. What it leaves out is the codebook, and what is known of the
order: a coder that learns that zeros come in stripes can stay below it.
"""

from __future__ import annotations

import numpy as np

from lwlab.packing.range_coder import bound_bytes

__all__ = ["bound_of_codes", "bound_of_elements"]


def bound_of_codes(codes: np.ndarray) -> float:
    """Return the bound of a tensor's codes in bytes.

    Args:
        codes: small whole numbers, one for each element, zeros included.
    """
    if not codes.size:
        return 0.0
    return bound_bytes(np.bincount(codes - codes.min()))


def bound_of_elements(elements: np.ndarray, count: int) -> float:
    """Return the bytes of those elements that are not zero, and the bound of their positions.

    Args:
        elements: unsigned numbers, all that are not zero and any of the zeros.
        count: elements of the tensor.
    """
    nonzero = int(np.count_nonzero(elements))
    return nonzero * elements.itemsize + bound_bytes(np.array([nonzero, count - nonzero]))

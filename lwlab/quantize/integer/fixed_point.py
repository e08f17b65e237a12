"""Multiplying whole numbers by a real one, with whole numbers alone: fixed point.

    multiplier ~= mantissa * 2^-shift          mantissa in [2^30, 2^31), a 31-bit fraction
    x * multiplier ~= (x * mantissa + 2^(shift - 1)) >> shift

Between two layers a sum at scale ``s_in`` becomes a code at scale ``s_out``: a product with the
real number ``s_in / s_out``. A processor without floating point has a 64-bit product and a shift.

The rounding is the one above, to the bit: one rounding, to the nearest, halves up (toward plus
infinity). gemmlowp, the library of the paper, rounds twice: the upper 32 bits of the doubled
product to the nearest, then the shift, halves away from zero. The two differ by one code at most,
where a product lies within 2^-30 or so of a half; TensorFlow Lite offers both.

Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lwlab.checks import check_finite

__all__ = ["BLOCK", "FRACTION_BITS", "LARGEST_SHIFT", "in_blocks", "multiply", "to_fixed_point"]

FRACTION_BITS = 31
"""Bits of a mantissa. The relative error of a multiplier is at most 2^-31."""

LARGEST_SHIFT = 62
"""A product of two int32 numbers has 62 bits; shifted by more than that, it is 0."""

BLOCK = 2**16
"""Elements that are worked on together: 512 kB as int64."""


def to_fixed_point(multiplier: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return the ``(mantissa, shift)`` nearest to ``multiplier``.

    >>> to_fixed_point(0.75)  # 0.75 * 2^31 >> 31
    (tensor(1610612736, dtype=torch.int32), tensor(31, dtype=torch.int32))

    Args:
        multiplier: finite, above 0 and below 2^29; a number or a tensor.

    Returns:
        Two int32 tensors of the shape of ``multiplier``. A multiplier below 2^-32 has a mantissa
        with fewer bits, down to 0.

    Raises:
        ValueError: a multiplier is not finite, or out of range.
    """
    exact = check_finite("multiplier", torch.as_tensor(multiplier, dtype=torch.float64))
    outside = exact[(exact <= 0) | (exact >= 2**29)]
    if outside.numel():
        raise ValueError(
            f"multiplier must be above 0 and below 2^29, got {float(outside.flatten()[0])!r}. "
            f"Two scales that follow each other lie too far apart."
        )
    # frexp: a fraction in [0.5, 1) times 2^exponent.
    shift = (FRACTION_BITS - torch.frexp(exact).exponent).clamp(max=LARGEST_SHIFT)
    mantissa = torch.ldexp(exact, shift.double()).round().to(torch.int64)
    # A fraction just below 1 rounds up to 2^31, one too many for an int32.
    overflow = mantissa == 2**FRACTION_BITS
    mantissa = torch.where(overflow, mantissa // 2, mantissa)
    return mantissa.to(torch.int32), (shift - overflow.to(shift.dtype)).to(torch.int32)


def multiply(x: Tensor, mantissa: Tensor, shift: Tensor) -> Tensor:
    """Return ``x`` times ``mantissa * 2^-shift``, to the nearest whole number, halves up.

    >>> multiply(torch.tensor([2, 3, -2, -3]), *to_fixed_point(0.75))  # 1.5, 2.25, -1.5, -2.25
    tensor([ 2,  2, -1, -2])

    Args:
        x: whole numbers within int32.
        mantissa: int32, at least 0; broadcasts against ``x``.
        shift: int32, from 1 to 62; broadcasts against ``x``.

    Returns:
        int64, exact: nothing overflows.
    """
    shift = shift.to(torch.int64)
    product = x.to(torch.int64) * mantissa  # below 2^62 in magnitude
    half = torch.ones_like(shift) << (shift - 1)
    # The shift of a negative number rounds down, as floor does: with the half added, halves go up.
    return product.add_(half).bitwise_right_shift_(shift)


def in_blocks(work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ``work(x)`` for work on single elements, some examples at a time.

    int64 numbers take twice the memory of their input. A few examples' worth stays in the cache.
    """
    if x.dim() < 2 or x.numel() <= BLOCK:
        return work(x)
    examples = max(1, BLOCK // x[0].numel())
    return torch.cat([work(part) for part in x.split(examples)])

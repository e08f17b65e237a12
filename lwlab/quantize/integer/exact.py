"""Sums of products of whole numbers, exactly, at the speed of floating point.

A float32 holds each whole number up to 2^24, and so computes sums of products of such numbers
without rounding, as long as no partial sum grows larger:

    sum |w| * max |x| <= 2^24     over the weights of one output

bounds them all, in whatever order a library adds. For codes of 8 bits that holds up to some hundred
inputs per output at the least, and a few thousand with weights as they are. A longer sum is cut
into parts of input channels that hold it, and the parts are added as int32. Where one channel alone
is too much, or channels come in groups, float64 serves, up to 2^53.

So these convolutions *are* the integer convolutions, by the fast routines of torch. Automatic mixed
precision, which would round the sums, is off here. So is the Winograd convolution of NNPACK, with
fractions inside, that torch falls back to without oneDNN: then float64 serves. Codes of 8 bits fit
even in bfloat16, so that ``torch.set_float32_matmul_precision`` changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["FLOAT32_WHOLE", "exact_sums", "largest_sum", "parts_of"]

FLOAT32_WHOLE = 2**24
"""Up to here float32 holds each whole number."""


def exact_sums(
    product: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    weight: Tensor,
    largest_input: int,
    *,
    groups: int = 1,
    limit: int = FLOAT32_WHOLE,
) -> Tensor:
    """Return ``product(x, weight)`` of whole numbers, exactly, as int32.

    Args:
        product: a convolution or linear map of ``(x, weight)`` without bias.
        x: int32; input channels along axis 1, or the last axis for a two-dimensional weight.
        weight: int32, (outputs, inputs, ...).
        largest_input: the largest magnitude that ``x`` can have.
        groups: of the convolution.
        limit: up to which whole numbers float32 is trusted.
    """
    trusted = parts_of(weight, largest_input, groups=groups, limit=limit)
    dtype = torch.float32 if trusted and _float32_is_exact() else torch.float64
    axis = x.dim() - 1 if weight.dim() == 2 else 1
    pieces = [(x, weight)]
    if trusted and len(trusted) > 1:
        pieces = zip(x.split(trusted, axis), weight.split(trusted, 1), strict=True)
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        sums = [product(a.to(dtype), b.to(dtype)).to(torch.int32) for a, b in pieces]
        return functools.reduce(torch.Tensor.add_, sums)


def largest_sum(weight: Tensor, largest_input: int) -> int:
    """Return the bound of the sums: the largest ``sum |w|`` of an output, times the input's."""
    return int(weight.abs().flatten(1).sum(1, dtype=torch.int64).max()) * largest_input


def parts_of(
    weight: Tensor, largest_input: int, *, groups: int = 1, limit: int = FLOAT32_WHOLE
) -> list[int] | None:
    """Return how many input channels go together into each exact float32 sum, or None if none can.

    >>> parts_of(torch.tensor([[3, -5, 2, 2]]), 2, limit=16)  # 2 * (3 + 5) is the most it can hold
    [2, 2]
    """
    if largest_sum(weight, largest_input) <= limit:
        return [weight.shape[1]]
    # One channel's share, whatever output has most of it: a bound that channels can be added up by.
    shares = weight.abs().flatten(2).sum(2, dtype=torch.int64) if weight.dim() > 2 else weight.abs()
    loads = [int(load) * largest_input for load in shares.amax(0)]
    if groups > 1 or max(loads) > limit:
        return None
    parts, filled = [0], 0
    for load in loads:
        if filled + load > limit:
            parts.append(0)
            filled = 0
        parts[-1] += 1
        filled += load
    return parts


def _float32_is_exact() -> bool:
    """Return whether convolutions go to oneDNN, which sums products as they are."""
    return torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled

"""The grid: which codes there are for a number of bits, and which scale fits a range on them.

    signed     -2^(b-1) ... 2^(b-1) - 1         unsigned     0 ... 2^b - 1

    symmetric    scale = max(|low|, |high|) / (quant_max - zero_point)    zero_point in the middle
    asymmetric   scale = (high - low) / (quant_max - quant_min)
                 zero_point = quant_min - round(low / scale)

A symmetric grid has its zero point fixed, costs nothing for it and makes the arithmetic simple:
the choice for weights. An asymmetric one wastes no codes on a side where there are no values, such
as below 0 after a ReLU: the choice for activations. In both 0 is on the grid, exactly: padding,
ReLU and pruned weights produce many zeros, and an error in each would add up.

Source: Jacob et al. 2018, arXiv:1712.05877, section 2.1 and 3; Krishnamoorthi 2018, "Quantizing
deep convolutional networks for efficient inference", arXiv:1806.08342, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_count, check_finite

__all__ = ["Grid", "choose_qparams", "quant_range"]

MOST_BITS = 8


def quant_range(num_bits: int, *, signed: bool = True) -> tuple[int, int]:
    """Return ``(quant_min, quant_max)``, the smallest and the largest code.

    >>> quant_range(4), quant_range(4, signed=False)
    ((-8, 7), (0, 15))

    Args:
        num_bits: 1 to 8.
        signed: in two's complement, else from 0.

    Raises:
        TypeError, ValueError: ``num_bits`` is not a whole number from 1 to 8.
    """
    num_bits = check_count("num_bits", num_bits, minimum=1, maximum=MOST_BITS)
    half = 2 ** (num_bits - 1)
    return (-half, half - 1) if signed else (0, 2 * half - 1)


@dataclass(frozen=True)
class Grid:
    """The codes of an affine quantization.

    >>> Grid(3).quant_max, Grid(3, symmetric=False).quant_max
    (3, 7)

    The smallest code of a symmetric grid, -8 of 4 bits, has no partner. A scale from the largest
    absolute value never uses it; one from a narrower range may.

    Attributes:
        num_bits: 1 to 8; symmetric from 2 on, since a symmetric grid of one bit has no code above
            0 (``low_bit.binarize`` is the rule for that).
        symmetric: whether the zero point is fixed in the middle.
        signed: two's complement codes or codes from 0; None: signed if symmetric. It makes no
            difference but for how the codes are written.
    """

    num_bits: int
    symmetric: bool = True
    signed: bool | None = None

    def __post_init__(self) -> None:
        check_count("num_bits", self.num_bits, minimum=2 if self.symmetric else 1, maximum=8)
        object.__setattr__(self, "num_bits", int(self.num_bits))
        if self.signed is None:
            object.__setattr__(self, "signed", self.symmetric)

    @property
    def quant_min(self) -> int:
        """The smallest code."""
        return quant_range(self.num_bits, signed=self.signed)[0]

    @property
    def quant_max(self) -> int:
        """The largest code."""
        return quant_range(self.num_bits, signed=self.signed)[1]

    @property
    def middle(self) -> int:
        """The zero point of a symmetric grid: 0, or 2^(b-1) for codes from 0."""
        return self.quant_min + 2 ** (self.num_bits - 1)


def choose_qparams(low: Tensor, high: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return the ``(scale, zero_point)`` with which ``grid`` spans the ranges from low to high.

    A range that does not reach 0 is extended to it. A range that is 0 alone gets scale 1.

    >>> low, high = torch.tensor([-1.0, -0.5]), torch.tensor([2.0, 1.4])
    >>> choose_qparams(low, high, Grid(3, symmetric=True))[0]
    tensor([0.6667, 0.4667])

    Args:
        low: smallest values, one per group, or a single one.
        high: largest values, of the same shape.
        grid: the codes.

    Returns:
        Scales (float32) and zero points (int32) of the shape of ``low``. All scales are at least
        the smallest normal float32, 1.2e-38, so that 1 / scale is finite.

    Raises:
        ValueError: an end is NaN or infinite, or a low end lies above its high end.
    """
    low, high = torch.as_tensor(low).double(), torch.as_tensor(high).double()
    check_finite("low", low)
    check_finite("high", high)
    if bool((low > high).any()):
        at = int((low > high).flatten().nonzero()[0])
        raise ValueError(
            f"low must be at most high, got {low.flatten()[at]:g} and {high.flatten()[at]:g}."
        )
    low, high = low.clamp(max=0), high.clamp(min=0)
    if grid.symmetric:
        scale = _usable(torch.maximum(-low, high) / (grid.quant_max - grid.middle))
        return scale, torch.full_like(scale, grid.middle, dtype=torch.int32)
    scale = _usable((high - low) / (grid.quant_max - grid.quant_min))
    # With the scale as it is stored, in float32: zero then falls on its code with that one.
    zero_point = grid.quant_min - torch.round(low / scale.double())
    return scale, zero_point.clamp(grid.quant_min, grid.quant_max).to(torch.int32)


def _usable(scale: Tensor) -> Tensor:
    """Return scales as float32, none 0, none below the smallest normal number."""
    smallest, largest = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max
    return torch.where(scale == 0, 1.0, scale.clamp(smallest, largest)).float()

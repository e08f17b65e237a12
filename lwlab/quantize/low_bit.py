"""One bit and three values: too few codes for a range, so these have rules of their own.

    binary    w ~= a sign(w)                          a = mean |w|                  XNOR-Net
    ternary   w ~= a sign(w) where |w| > d, else 0    d = 0.7 mean |w|
                                                      a = mean |w| over |w| > d     TWN

Both a are the best in the squared sense for the signs that they scale. The 0.7 is an approximation
that fits normal and uniform weights.

An exact 0 is a pruned weight here: it stays 0, and the means leave it out. In a layer that was not
pruned there is practically none, and the formulas are those of the papers.

Sources: Rastegari et al. 2016, "XNOR-Net", arXiv:1603.05279, section 3.1; Li et al. 2016, "Ternary
weight networks", arXiv:1605.04711, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["TERNARY_THRESHOLD", "binary_codes", "ternary_codes"]

TERNARY_THRESHOLD = 0.7  # times mean |w|


def binary_codes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(codes, scale)``: the signs, and the mean magnitude of each row.

    >>> binary_codes(torch.tensor([[1.0, -3.0, 0.0]]))
    (tensor([[ 1, -1,  0]], dtype=torch.int32), tensor([2.]))

    Args:
        rows: (groups, values), floating point, finite.

    Returns:
        Codes -1 and 1 (0 for an exact 0), int32, and scales (groups,), float32; 1 for a row of
        zeros.
    """
    codes = torch.sign(rows.detach())
    return codes.to(torch.int32), _mean_magnitude(rows, codes != 0)


def ternary_codes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(codes, scale)``: the signs of the larger weights, and their mean magnitude.

    >>> ternary_codes(torch.tensor([[1.0, -3.0, 0.5, 0.1]]))  # 0.7 * mean is 0.805
    (tensor([[ 1, -1,  0,  0]], dtype=torch.int32), tensor([2.]))

    Args:
        rows: (groups, values), floating point, finite.

    Returns:
        Codes -1, 0 and 1, int32, and scales (groups,), float32; 1 for a row of zeros.
    """
    rows = rows.detach().float()
    threshold = TERNARY_THRESHOLD * _mean_magnitude(rows, rows != 0)
    large = rows.abs() > threshold[:, None]
    return (torch.sign(rows) * large).to(torch.int32), _mean_magnitude(rows, large)


def _mean_magnitude(rows: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean |w| over the chosen values of each row, float32; 1 where none is."""
    total = (rows.detach().double().abs() * chosen).sum(dim=1)
    count = chosen.sum(dim=1)
    return torch.where(count > 0, total / count.clamp(min=1), 1.0).float()

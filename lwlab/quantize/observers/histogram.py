"""A histogram of magnitudes that grows with what it sees and never moves a count.

It spans (0, bound] in equal bins. When a value lies beyond, the bound doubles and each two bins
become one: the counts stay exact, as if all values had come at once. So at least half of the bins
lie below the largest value.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Histogram"]


class Histogram:
    """Counts of the values above 0 in equal bins, one histogram per group.

    Args:
        bins: number of bins, even.

    Attributes:
        counts: (groups, bins), int64. None before the first ``add``.
        bound: (groups,), float64: the upper end of each histogram; 0 while a group saw only zeros.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.counts: Tensor | None = None
        self.bound: Tensor | None = None

    def add(self, magnitudes: Tensor) -> None:
        """Count more values: (groups, values), at least 0; exact zeros are not counted."""
        magnitudes = magnitudes.double()
        peak = magnitudes.amax(dim=1)
        if self.counts is None:
            self.counts = torch.zeros(len(peak), self.bins, dtype=torch.int64)
            self.bound = torch.zeros_like(peak)
        # The first value above 0 sets the unit of its group.
        self.bound = torch.where(self.bound == 0, peak, self.bound)
        self._grow(peak)
        width = torch.where(self.bound == 0, 1.0, self.bound / self.bins)[:, None]
        # Bin k is (k, k + 1] widths, so that the bound is in the last bin, also after growing.
        index = (magnitudes / width).ceil().long().sub(1).clamp(0, self.bins - 1)
        self.counts.scatter_add_(1, index, (magnitudes > 0).long())

    def _grow(self, peak: Tensor) -> None:
        while bool((small := peak > self.bound).any()):
            paired = self.counts[small].reshape(-1, self.bins // 2, 2).sum(dim=2)
            self.counts[small] = torch.cat([paired, torch.zeros_like(paired)], dim=1)
            self.bound = torch.where(small, 2 * self.bound, self.bound)

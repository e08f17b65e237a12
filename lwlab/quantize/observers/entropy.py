"""Entropy: the range whose codes tell most of what the values told, the recipe of TensorRT.

A histogram of ``|x|`` has 2048 bins. For each number i of bins to keep:

    P   the first i bins, what lies beyond added to the last of them     what clipping makes of x
    Q   the first i bins merged into as many levels as there are codes,
        each level shared out evenly among its non-empty bins            what the codes can tell

The range that ends in the middle of bin i + 1 with the smallest ``KL(P || Q) = sum P log(P / Q)``
wins.

Source: Migacz 2017, "8-bit inference with TensorRT", GTC, slides 38 and following.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_count
from lwlab.quantize.grid import Grid
from lwlab.quantize.observers.histogram import Histogram
from lwlab.quantize.observers.observer import Observer

__all__ = ["Entropy", "best_bins", "divergences"]


@dataclass
class Entropy(Observer):
    """The range of ``|x|`` with the smallest Kullback-Leibler divergence.

    On a symmetric grid the range is (-t, t) and |x| has as many levels as there are codes from 0
    up, 128 for 8 bits as in TensorRT. On an asymmetric grid it is what lies of (-t, t) within the
    values seen; after a ReLU, where nothing is negative, all 256 codes are levels.

    Values that are exactly 0 are left out of the histogram: 0 has its code in any range, and after
    a ReLU or pruning they would outvote all others. A group with fewer other values than bins
    gets min-max: its histogram is mostly gaps, and the divergence chance.

    Made for activations at 8 bits. With few bits it tends to clip too little.

    Attributes:
        bins: of the histogram, an even number.
    """

    bins: int = 2048

    def __post_init__(self) -> None:
        self.bins = check_count("bins", self.bins, minimum=2)
        if self.bins % 2:
            raise ValueError(f"bins must be even, got {self.bins}. Try {self.bins + 1}.")
        self._forget()

    def _see(self, rows: Tensor) -> None:
        self._histogram.add(rows.abs())
        low, high = rows.aminmax(dim=1)
        if self._low is not None:
            low, high = torch.minimum(low, self._low), torch.maximum(high, self._high)
        self._low, self._high = low, high

    def _range(self, grid: Grid) -> tuple[Tensor, Tensor]:
        codes = grid.quant_max - grid.quant_min + 1
        thresholds = []
        for group, counts in enumerate(self._histogram.counts):
            one_sided = not grid.symmetric and bool(self._low[group] >= 0)
            levels = codes if one_sided else codes // 2
            width = self._histogram.bound[group] / self.bins
            sparse = int(counts.sum()) < self.bins
            kept = self.bins if sparse else best_bins(counts, levels)
            thresholds.append((kept + 0.5) * width)
        threshold = torch.stack(thresholds).float()
        if grid.symmetric:
            threshold = torch.minimum(threshold, torch.maximum(-self._low, self._high))
            return -threshold, threshold
        return torch.maximum(self._low, -threshold), torch.minimum(self._high, threshold)

    def _forget(self) -> None:
        self._histogram = Histogram(self.bins)
        self._low = self._high = None


def best_bins(counts: Tensor, levels: int) -> int:
    """Return the number of bins to keep, from ``levels`` to all, with the least divergence.

    Args:
        counts: histogram of |x|, (bins,).
        levels: number of codes for |x|.

    Returns:
        The number; of equal ones the largest. All bins if the histogram is empty.
    """
    values = divergences(counts, levels)
    return len(counts) - int(values.flip(0).argmin())


def divergences(counts: Tensor, levels: int) -> Tensor:
    """Return ``KL(P || Q)`` in nats for each number of bins to keep, from ``levels`` to all.

    It is infinite where the last bin that is kept is empty and something lies beyond: Q says that
    there is nothing, P puts all the clipped values there.

    With counts c, their total T, the sum I of those inside, and S and n the sum and the number of
    non-empty bins of a level, P is c / T and Q is S / (n I). So all that is needed are sums over
    stretches of bins, and running sums give those for all candidates at once:

        T (KL + log T) = sum c log c - sum S log(S / (n I))      where c of the last bin is raised

    Args:
        counts: histogram of |x|, (bins,).
        levels: number of codes for |x|.
    """
    counts = counts.double()
    levels, bins = min(levels, len(counts)), len(counts)
    total = counts.sum()
    if total == 0:
        return torch.zeros(bins - levels + 1, dtype=torch.float64)
    kept = torch.arange(levels, bins + 1)
    # Bin k belongs to level k * levels // kept, so a level begins at the next whole number here.
    edges = (torch.arange(levels + 1) * kept[:, None] + levels - 1) // levels
    sums = _running(counts)[edges].diff(dim=1)
    filled = _running((counts > 0).double())[edges].diff(dim=1)
    inside, last = _running(counts)[kept], counts[kept - 1]
    beyond = total - inside
    shares = sums / (filled.clamp(min=1) * inside.clamp(min=1)[:, None])
    raised = _running(torch.xlogy(counts, counts))[kept] - torch.xlogy(last, last)
    raised = raised + torch.xlogy(last + beyond, last + beyond)
    told = torch.xlogy(sums, shares).sum(dim=1)
    told = told + torch.xlogy(beyond, torch.where(last > 0, shares[:, -1], 0))
    return (raised - told) / total - torch.log(total)


def _running(values: Tensor) -> Tensor:
    return torch.cat([values.new_zeros(1), values.cumsum(0)])

"""The best k levels for numbers on a line, by dynamic programming.

In the plane k-means is hard, and Lloyd's iterations stop at the first of many local optima. On a
line each cluster is an unbroken stretch of the sorted values, and the best cut into k stretches
follows from the best cuts into k - 1:

    best(k, i) = min over j < i of  best(k - 1, j) + cost(j, i)
    cost(j, i) = sum of (x - mean)^2 over the sorted values j ... i - 1

With n values that is k n^2 work, too much for a layer. So the values are first joined into at most
1,024 cells, and the cuts lie between cells: nearly the best, to be polished by Lloyd on all values.
The cells are narrow where values are dense, by the law of Panter and Dite: the best levels of a
fine quantizer are as dense as the cube root of the density of the values.

Sources: Fisher 1958, "On grouping for maximum homogeneity", JASA 53; Wang and Song 2011,
"Ckmeans.1d.dp", The R Journal 3(2); Panter and Dite 1951, Proc. IRE 39.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MOST_CELLS", "optimal_levels"]

MOST_CELLS = 1024


def optimal_levels(ascending: Tensor, num_levels: int, *, most_cells: int = MOST_CELLS) -> Tensor:
    """Return ``num_levels`` levels with the least ``sum (x - nearest level)^2``, ascending.

    Exact for up to ``most_cells`` values, else the best with cuts between cells.

    >>> optimal_levels(torch.tensor([0.0, 1.0, 10.0, 12.0]), 2)
    tensor([ 0.5000, 11.0000], dtype=torch.float64)

    Args:
        ascending: sorted values, (n,), n >= num_levels.
        num_levels: at least 1, and at most ``most_cells``.
        most_cells: how finely the cuts are searched.
    """
    ascending = ascending.double()
    edges = _cell_edges(ascending, max(most_cells, num_levels))
    zero = ascending.new_zeros(1)
    sums = torch.cat([zero, ascending.cumsum(0)])[edges]
    squares = torch.cat([zero, ascending.square().cumsum(0)])[edges]
    cuts = _best_cuts(_costs(edges.double(), sums, squares), min(num_levels, len(edges) - 1))
    return sums[cuts].diff() / edges[cuts].diff()


def _cell_edges(ascending: Tensor, most_cells: int) -> Tensor:
    """Return positions 0 = e_0 < e_1 < ... = n that cut the values into cells."""
    count = len(ascending)
    if count <= most_cells:
        return torch.arange(count + 1)
    # A gap is 1 / (n density), so gap * density^(1/3) is gap^(2/3) up to a factor.
    length = torch.cat([ascending.new_zeros(1), ascending.diff().pow(2 / 3).cumsum(0)])
    marks = torch.linspace(0, 1, most_cells + 1, dtype=torch.float64)[1:-1] * length[-1]
    inner = torch.searchsorted(length, marks).unique()
    inner = inner[(inner > 0) & (inner < count)]
    return torch.cat([torch.tensor([0]), inner, torch.tensor([count])])


def _costs(edges: Tensor, sums: Tensor, squares: Tensor) -> Tensor:
    """Return ``cost[j, i]`` of the cells from j to i as one cluster; infinite unless j < i."""
    count, total, square = (part[None, :] - part[:, None] for part in (edges, sums, squares))
    cost = (square - total.square() / count.clamp(min=1)).clamp(min=0)
    return cost.masked_fill_(count <= 0, torch.inf)


def _best_cuts(cost: Tensor, num_levels: int) -> Tensor:
    """Return the edges, first and last included, of the cheapest cut into ``num_levels``."""
    best, origins = cost[0], []
    for _ in range(num_levels - 1):
        best, origin = (best[:, None] + cost).min(dim=0)
        origins.append(origin)
    cuts = [len(cost) - 1]
    for origin in reversed(origins):
        cuts.append(int(origin[cuts[-1]]))
    return torch.tensor([0, *reversed(cuts)])

"""Codebooks: k-means finds a few values, and each weight becomes the nearest of them.

    minimize   sum |w - c_code(w)|^2     over k centroids c

A grid has its values at equal distances; a codebook has them where the weights are. It needs k
floats of its own and a look-up for each weight, so it saves bytes and no arithmetic.

Lloyd's iterations alternate: each weight to its nearest centroid, each centroid to the mean of its
weights. Every step lowers the error until none does. Where they end depends on where they begin:

    linear    evenly from the smallest to the largest weight      a few centroids for the large ones
    density   at evenly spaced ranks                              all centroids near zero
    random    at k random weights                                 mostly near zero
    optimal   at the best of all cuts (``optimal_levels``)        nothing left to gain

Deep Compression compares the first three and takes linear, since large weights matter more than
their number. ``sharing`` puts codebooks on a model and trains the centroids.

Sources: Han et al. 2016, "Deep compression", arXiv:1510.00149, section 3; Lloyd 1982, "Least
squares quantization in PCM", IEEE Trans. Inf. Theory 28(2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lwlab.checks import check_choice, check_count, check_finite
from lwlab.quantize.optimal_levels import optimal_levels
from lwlab.quantize.sorted_rows import SortedRows

__all__ = [
    "INITIALIZATIONS",
    "MOST_CLUSTERS",
    "Codebook",
    "find_codebook",
    "initial_centroids",
    "lloyd",
]

INITIALIZATIONS = ("linear", "density", "random", "optimal")
MOST_CLUSTERS = 256
_MOST_ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class Codebook:
    """A tensor as codes into a list of values.

    Attributes:
        codes: int64, of the tensor's shape; ``centroids[codes]`` is the tensor.
        centroids: float32, (k,), ascending; with ``keep_zeros`` a 0 comes first.
        keep_zeros: code 0 means the exact zeros, which no training moves.
        dtype: of the tensor.
    """

    codes: Tensor
    centroids: Tensor
    keep_zeros: bool = False
    dtype: torch.dtype = torch.float32

    def dequantize(self) -> Tensor:
        """Return the tensor that the codes stand for, in its own shape and dtype."""
        return self.centroids[self.codes].to(self.dtype)

    @property
    def num_bits(self) -> int:
        """Bits of a code of fixed length: enough for the number of centroids."""
        return (len(self.centroids) - 1).bit_length()

    def storage_bits(self, *, centroid_bits: int = 32) -> int:
        """Return ``codes * num_bits + centroids * centroid_bits``, without header or cleverness."""
        check_count("centroid_bits", centroid_bits)
        return self.codes.numel() * self.num_bits + len(self.centroids) * centroid_bits


def find_codebook(
    weight: Tensor,
    num_clusters: int,
    *,
    initialization: str = "optimal",
    keep_zeros: bool = False,
    seed: int = 0,
) -> Codebook:
    """Return the codebook that k-means finds for a tensor.

    >>> find_codebook(torch.tensor([0.0, 1.0, 10.0, 12.0]), 2).centroids
    tensor([ 0.5000, 11.0000])

    A tensor with fewer distinct values than clusters keeps them all, exactly, and gets as many
    centroids as it has values.

    Args:
        weight: floating point, finite, not empty, any shape.
        num_clusters: 1 to 256 centroids, the one for zeros included.
        initialization: see the top of the module.
        keep_zeros: give exact zeros a centroid of their own, which is 0, and leave them out of
            the search: pruned weights stay pruned.
        seed: for ``"random"``.

    Raises:
        TypeError: ``weight`` is not floating point.
        ValueError: it is empty or not finite, or another argument is out of range.
    """
    num_clusters = check_count("num_clusters", num_clusters, minimum=1, maximum=MOST_CLUSTERS)
    check_choice("initialization", initialization, INITIALIZATIONS)
    values = _check_weight(weight.detach()).flatten().float()
    zeros_kept = keep_zeros and bool((values == 0).any())
    searched = values[values != 0] if zeros_kept else values
    free = num_clusters - int(zeros_kept)
    if zeros_kept and free == 0 and len(searched):
        raise ValueError(
            "num_clusters must be at least 2 to keep zeros beside other weights, got 1."
        )
    centroids = _centroids(searched, free, initialization, seed)
    codes = _nearest(values, centroids)
    if zeros_kept:
        codes = torch.where(values == 0, 0, codes + 1)
        centroids = torch.cat([centroids.new_zeros(1), centroids])
    return Codebook(codes.reshape(weight.shape), centroids, zeros_kept, weight.dtype)


def _centroids(values: Tensor, count: int, initialization: str, seed: int) -> Tensor:
    distinct = values.unique()
    if len(distinct) <= count:
        return distinct
    start = initial_centroids(values, count, initialization, seed=seed)
    return lloyd(values, start).float().unique()


def initial_centroids(
    values: Tensor, num_clusters: int, initialization: str, *, seed: int = 0
) -> Tensor:
    """Return where Lloyd's iterations begin: (num_clusters,), ascending, float64.

    Args:
        values: (n,), n >= num_clusters.
        num_clusters: at least 1.
        initialization: ``"linear"``, ``"density"``, ``"random"`` or ``"optimal"``.
        seed: for ``"random"``.

    Raises:
        ValueError: ``initialization`` is none of them.
    """
    check_choice("initialization", initialization, INITIALIZATIONS)
    ascending = values.double().sort().values
    ranks = (torch.arange(num_clusters) + 0.5) / num_clusters
    if initialization == "linear":
        return torch.lerp(
            ascending[0], ascending[-1], torch.linspace(0, 1, num_clusters, dtype=torch.float64)
        )
    if initialization == "density":
        return ascending[(ranks * len(ascending)).long()]
    if initialization == "random":
        generator = torch.Generator().manual_seed(check_count("seed", seed, minimum=0))
        chosen = torch.randperm(len(ascending), generator=generator)[:num_clusters]
        return ascending[chosen.sort().values]
    return optimal_levels(ascending, num_clusters)


def lloyd(values: Tensor, centroids: Tensor) -> Tensor:
    """Return the centroids at which Lloyd's iterations stand still, ascending, float64.

    Exact and fast on a line: the values are sorted once, and a cluster is a stretch between two
    half-way points (``sorted_rows``). A centroid without any value stays where it is.

    Args:
        values: (n,).
        centroids: where to begin, (k,).
    """
    rows = SortedRows(values[None])
    present = centroids.double().sort().values[None]
    for _ in range(_MOST_ITERATIONS):
        cuts = rows.cuts(present)
        counts = rows.counts(cuts)
        means = rows.sums(cuts) / counts.clamp(min=1)
        moved = torch.where(counts > 0, means, present).sort(dim=1).values
        if torch.equal(moved, present):
            break
        present = moved
    return present[0]


def _nearest(values: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the nearest centroid; from exactly between two, the lower."""
    if len(centroids) == 0:
        return torch.zeros_like(values, dtype=torch.int64)
    between = (centroids[1:].double() + centroids[:-1].double()) / 2
    return torch.searchsorted(between, values.double())


def _check_weight(weight: Tensor) -> Tensor:
    if not weight.is_floating_point():
        raise TypeError(f"weight must be a floating-point tensor, got {weight.dtype}.")
    if weight.numel() == 0:
        raise ValueError(f"weight must hold at least one value, got shape {tuple(weight.shape)}.")
    return check_finite("weight", weight)

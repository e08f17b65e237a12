"""Codebooks: k-means by hand, beside scikit-learn, and beside all possible cuts."""

import itertools
import re
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.codebook import INITIALIZATIONS, find_codebook, initial_centroids, lloyd
from lwlab.quantize.optimal_levels import optimal_levels

SHAPES = {
    "normal": lambda g: torch.randn(1500, generator=g),
    "long tails": lambda g: torch.randn(1500, generator=g) ** 3,
    "uniform": lambda g: torch.rand(1500, generator=g),
    "two hills": lambda g: torch.cat(
        [torch.randn(1200, generator=g) - 3, 0.3 * torch.randn(300, generator=g) + 4]
    ),
}


def inertia(codebook, weight):
    return (codebook.dequantize().double() - weight.double()).square().sum().item()


def test_by_hand():
    weight = torch.tensor([[12.0, 0.0], [1.0, 10.0]])
    for initialization in INITIALIZATIONS:
        codebook = find_codebook(weight, 2, initialization=initialization)
        assert codebook.centroids.tolist() == [0.5, 11.0]
        assert codebook.codes.tolist() == [[1, 0], [0, 1]]
        assert codebook.dequantize().tolist() == [[11.0, 0.5], [0.5, 11.0]]
        assert codebook.storage_bits() == 4 * 1 + 2 * 32


def test_where_the_iterations_begin():
    values = torch.tensor([9.0, 0.0, 1.0, 2.0])
    assert initial_centroids(values, 3, "linear").tolist() == [0.0, 4.5, 9.0]
    assert initial_centroids(values, 2, "density").tolist() == [1.0, 9.0]
    random = initial_centroids(values, 2, "random", seed=3)
    assert set(random.tolist()) < set(values.tolist())
    assert torch.equal(random, initial_centroids(values, 2, "random", seed=3))
    draws = {tuple(initial_centroids(values, 2, "random", seed=s).tolist()) for s in range(20)}
    assert len(draws) > 2
    assert initial_centroids(values, 2, "optimal").tolist() == [1.0, 9.0]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("clusters", [2, 4, 16, 32])
def test_the_error_is_no_worse_than_scikit_learns(kind, clusters):
    from sklearn.cluster import KMeans

    weight = SHAPES[kind](torch.Generator().manual_seed(clusters))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads and memory on other systems
        theirs = KMeans(clusters, n_init=10, random_state=0, tol=0, max_iter=1000)
        theirs = theirs.fit(weight.double().numpy()[:, None]).inertia_
    ours = inertia(find_codebook(weight, clusters), weight)
    assert ours <= theirs * 1.000001


@pytest.mark.parametrize("initialization", INITIALIZATIONS)
@pytest.mark.parametrize("kind", SHAPES)
def test_lloyd_stands_still_where_scikit_learns_does(initialization, kind):
    from sklearn.cluster import KMeans

    values = SHAPES[kind](torch.Generator().manual_seed(1))
    start = initial_centroids(values, 6, initialization)
    ours = lloyd(values, start)
    theirs = KMeans(6, init=start.numpy()[:, None], n_init=1, tol=0, max_iter=1000)
    theirs = theirs.fit(values.double().numpy()[:, None]).cluster_centers_[:, 0]
    torch.testing.assert_close(ours, torch.from_numpy(theirs).sort().values, rtol=1e-6, atol=1e-6)


@given(st.lists(st.integers(-30, 30), min_size=2, max_size=8), st.integers(1, 4))
def test_optimal_is_the_best_of_all_cuts(numbers, clusters):
    values = torch.tensor(sorted(numbers), dtype=torch.float64)
    clusters = min(clusters, len(values))

    def error(cuts):
        parts = [values[a:b] for a, b in itertools.pairwise((0, *cuts, len(values)))]
        return sum((part - part.mean()).square().sum().item() for part in parts)

    best = min(error(c) for c in itertools.combinations(range(1, len(values)), clusters - 1))
    levels = optimal_levels(values, clusters)
    found = (values[:, None] - levels).square().amin(dim=1).sum().item()
    assert found == pytest.approx(best, abs=1e-9)


def test_cells_lose_next_to_nothing():
    values = torch.randn(3000, generator=torch.Generator().manual_seed(0)).sort().values

    def error(levels):
        return (values[:, None] - levels).square().amin(dim=1).sum().item()

    whole = error(optimal_levels(values, 8, most_cells=3000))
    assert whole <= error(optimal_levels(values, 8, most_cells=300)) < 1.001 * whole


def test_codes_are_the_nearest_and_centroids_their_means():
    weight = SHAPES["long tails"](torch.Generator().manual_seed(2)).reshape(30, 50)
    codebook = find_codebook(weight, 16, initialization="linear")
    distances = (weight.flatten()[:, None] - codebook.centroids).abs()
    chosen = distances.gather(1, codebook.codes.flatten()[:, None])[:, 0]
    assert torch.equal(chosen, distances.amin(dim=1))
    for code in codebook.codes.unique():
        mean = weight[codebook.codes == code].mean()
        torch.testing.assert_close(codebook.centroids[code], mean)


def test_zeros_keep_a_code_of_their_own():
    weight = torch.tensor([0.0, 0.1, -0.1, 5.0, 0.0, 5.2])
    codebook = find_codebook(weight, 3, keep_zeros=True)
    assert codebook.centroids.tolist() == pytest.approx([0.0, 0.0, 5.1], abs=1e-6)
    assert codebook.codes.tolist() == [0, 1, 1, 2, 0, 2]
    assert codebook.dequantize()[[0, 4]].tolist() == [0.0, 0.0]
    without = find_codebook(weight[[1, 2, 3, 5]], 2, keep_zeros=True)
    assert (without.keep_zeros, without.codes.tolist()) == (False, [0, 0, 1, 1])
    nothing = find_codebook(torch.zeros(3), 4, keep_zeros=True)
    assert (nothing.codes.tolist(), nothing.centroids.tolist()) == ([0, 0, 0], [0.0])


def test_few_distinct_values_are_kept_exactly():
    weight = torch.tensor([0.1, 0.3, 0.1, 0.2])
    codebook = find_codebook(weight, 256)
    assert torch.equal(codebook.dequantize(), weight)
    assert codebook.num_bits == 2
    assert find_codebook(torch.full((5,), 7.0), 4).num_bits == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_comes_back(dtype):
    assert find_codebook(torch.randn(50).to(dtype), 4).dequantize().dtype == dtype


def test_bits_and_storage():
    weight = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    for clusters, bits in ((2, 1), (3, 2), (16, 4), (17, 5)):
        codebook = find_codebook(weight, clusters)
        assert codebook.num_bits == bits
        assert codebook.storage_bits(centroid_bits=16) == 100 * bits + clusters * 16


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            (torch.ones(3), 0),
            ValueError,
            "num_clusters must be a whole number from 1 to 256, got 0.",
        ),
        (
            (torch.ones(3), 257),
            ValueError,
            "num_clusters must be a whole number from 1 to 256, got 257.",
        ),
        (
            (torch.ones(3, dtype=torch.int64), 2),
            TypeError,
            "weight must be a floating-point tensor, got torch.int64.",
        ),
        ((torch.ones(0), 2), ValueError, "weight must hold at least one value, got shape (0,)."),
        (
            (torch.tensor([1.0, float("nan")]), 2),
            ValueError,
            "weight must be finite, got 1 NaN or infinite of 2 values (the first at index (1,)).",
        ),
    ],
)
def test_bad_input_gets_one_sentence(arguments, error, sentence):
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        find_codebook(*arguments)


def test_the_start_must_be_known_and_zeros_need_room():
    sentence = (
        "initialization must be one of 'linear', 'density', 'random' or 'optimal', got 'liner'. "
        "Did you mean 'linear'?"
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        find_codebook(torch.ones(3), 2, initialization="liner")
    sentence = "num_clusters must be at least 2 to keep zeros beside other weights, got 1."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        find_codebook(torch.tensor([0.0, 1.0]), 1, keep_zeros=True)

"""Every observer: by hand, beside a slow reference, and what all have in common."""

import math
import re

import numpy as np
import pytest
import torch

from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.granularity import PerChannel, PerTensor
from lwlab.quantize.grid import Grid, choose_qparams
from lwlab.quantize.observers import (
    Entropy,
    MeanSquared,
    MinMax,
    MovingAverage,
    Observer,
    Percentile,
    check_observer,
    observed_range,
)
from lwlab.quantize.observers.entropy import best_bins, divergences
from lwlab.quantize.observers.histogram import Histogram
from lwlab.quantize.observers.sample import Sample

ALL = [MinMax(), MovingAverage(), Percentile(99), MeanSquared(20), Entropy(128)]
EACH = pytest.mark.parametrize("rule", ALL, ids=lambda rule: type(rule).__name__)
GRID, UNSIGNED = Grid(4), Grid(4, symmetric=False)


def values(seed=0, shape=(3, 500)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def as_lists(ends):
    return tuple(end.tolist() for end in ends)


# What all have in common


@EACH
@pytest.mark.parametrize("grid", [GRID, UNSIGNED])
def test_each_group_gets_a_range_of_its_own_within_its_values(rule, grid):
    rows = values() * torch.tensor([[1.0], [5.0], [0.01]])
    low, high = observed_range(rule, rows, grid)
    assert low.shape == high.shape == (3,)
    assert low.dtype == torch.float32
    peak = rows.abs().amax(dim=1)
    assert bool((low >= -peak * 1.0001).all() and (high <= peak * 1.0001).all())
    alone = [observed_range(rule, row[None], grid) for row in rows]
    assert torch.equal(low, torch.cat([pair[0] for pair in alone]))
    assert torch.equal(high, torch.cat([pair[1] for pair in alone]))


@EACH
def test_a_rule_is_not_changed_and_a_fresh_one_has_seen_nothing(rule):
    first = as_lists(observed_range(rule, values(), GRID))
    assert rule.num_groups is None
    used = rule.fresh()
    used.observe(values(1) * 100)
    again = used.fresh()
    again.observe(values())
    assert as_lists(again.range(GRID)) == first
    assert (used == rule, used.num_groups) == (True, 3)  # settings alone make them equal


@EACH
@pytest.mark.parametrize("constant", [0.0, 2.5, -2.5])
def test_constant_values_have_a_range_that_reaches_them(rule, constant):
    rows = torch.full((1, 50), constant)
    for grid in (GRID, UNSIGNED, Grid(8)):
        scale, zero_point = choose_qparams(*observed_range(rule, rows, grid), grid)
        ends = {"quant_min": grid.quant_min, "quant_max": grid.quant_max}
        moved = fake_quantize(rows, scale[:, None], zero_point[:, None], **ends)
        torch.testing.assert_close(moved, rows, rtol=0.02, atol=0)


@EACH
def test_one_value_per_group_is_enough(rule):
    low, high = observed_range(rule, torch.tensor([[1.0], [-3.0], [0.0]]), GRID)
    assert torch.isfinite(low).all()
    assert bool((high - low <= 6.001).all())


@EACH
def test_half_precision_and_gradients_do_no_harm(rule):
    half = values().half().requires_grad_()
    low, _ = observed_range(rule, half, GRID)
    assert (low.dtype, low.requires_grad) == (torch.float32, False)


@EACH
@pytest.mark.parametrize(
    ("rows", "error", "sentence"),
    [
        (
            torch.ones(2, 3, dtype=torch.int32),
            TypeError,
            "rows must be a floating-point tensor, got torch.int32.",
        ),
        (
            torch.ones(3),
            ValueError,
            (
                "rows must be a matrix (groups, values) with values, got shape (3,). "
                "Try granularity.rows(x)."
            ),
        ),
        (
            torch.ones(2, 0),
            ValueError,
            (
                "rows must be a matrix (groups, values) with values, got shape (2, 0). "
                "Try granularity.rows(x)."
            ),
        ),
        (
            torch.tensor([[1.0], [math.nan], [2.0]]),
            ValueError,
            "rows must be finite, got 1 NaN or infinite of 3 values (the first at index (1, 0)).",
        ),
        (torch.ones(2, 4), ValueError, "rows must have the 3 groups seen before, got 2."),
    ],
)
def test_bad_rows_get_one_sentence_and_leave_what_was_seen(rule, rows, error, sentence):
    observer = rule.fresh()
    observer.observe(values())
    before = as_lists(observer.range(GRID))
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        observer.observe(rows)
    assert as_lists(observer.range(GRID)) == before


@EACH
def test_a_range_needs_something_observed(rule):
    sentence = (
        f"{type(rule).__name__} must observe values before it can tell a range, got none. "
        f"Call observe(rows) with calibration data."
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        rule.range(GRID)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: MovingAverage(0), ValueError, "momentum must be a finite number above 0, got 0."),
        (lambda: MovingAverage(2), ValueError, "momentum must be at most 1, got 2."),
        (lambda: Percentile(101), ValueError, "percent must be at most 100, got 101."),
        (lambda: Percentile(-1), ValueError, "percent must be a finite number above 0, got -1.0."),
        (lambda: MeanSquared(0), ValueError, "steps must be a whole number of at least 1, got 0."),
        (lambda: Entropy(7), ValueError, "bins must be even, got 7. Try 8."),
        (
            lambda: check_observer(MinMax),
            TypeError,
            (
                "range_rule must be an observer such as MinMax(), got the class MinMax. "
                "Did you mean MinMax()?"
            ),
        ),
        (
            lambda: check_observer("mse"),
            TypeError,
            "range_rule must be an observer such as MinMax(), got 'mse'.",
        ),
    ],
)
def test_bad_settings_get_one_sentence(make, error, sentence):
    sentence = sentence.replace("above 0, got 0.", "above 0, got 0.0.")
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        make()


def test_an_observer_of_ones_own_needs_two_methods():
    class Three(Observer):
        def _see(self, rows):
            self.seen = rows

        def _range(self, grid):
            return -3 * torch.ones(len(self.seen)), 3 * torch.ones(len(self.seen))

    assert as_lists(observed_range(Three(), values(), GRID))[1] == [3.0, 3.0, 3.0]


# Min-max and moving average


def test_min_max_by_hand_over_two_batches():
    observer = MinMax()
    observer.observe(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
    observer.observe(torch.tensor([[-5.0, 1.5], [7.0, 7.0]]))
    assert as_lists(observer.range(GRID)) == ([-5.0, -1.0], [2.0, 7.0])


def test_min_max_views_a_tensor_by_its_granularity():
    x = values(shape=(2, 3, 4))
    low, high = observed_range(MinMax(), PerChannel(1).rows(x), GRID)
    assert torch.equal(low, x.amin(dim=(0, 2)))
    assert torch.equal(high, x.amax(dim=(0, 2)))


def test_the_moving_average_by_hand_and_as_torch_has_it():
    observer = MovingAverage(0.25)
    for batch in ([0.0, 4.0], [-4.0, 8.0], [0.0, 0.0]):
        observer.observe(torch.tensor([batch]))
    assert as_lists(observer.range(GRID)) == ([-0.75], [3.75])

    from torch.ao.quantization.observer import MovingAverageMinMaxObserver

    ours, theirs = MovingAverage(0.1), MovingAverageMinMaxObserver(averaging_constant=0.1)
    for seed in range(10):
        ours.observe(values(seed, (1, 30)))
        theirs(values(seed, (1, 30)))
    low, high = ours.range(GRID)
    torch.testing.assert_close(
        torch.cat([low, high]), torch.stack([theirs.min_val, theirs.max_val])
    )


# Percentile


def test_the_percentile_is_numpys_and_all_of_it_is_min_max():
    rows = values()
    for percent in (50.0, 90.0, 99.9):
        low, high = observed_range(Percentile(percent), rows, UNSIGNED)
        tail = (100 - percent) / 2
        np.testing.assert_allclose(low, np.percentile(rows, tail, axis=1), rtol=1e-5)
        np.testing.assert_allclose(high, np.percentile(rows, 100 - tail, axis=1), rtol=1e-5)
        low, high = observed_range(Percentile(percent), rows, GRID)
        np.testing.assert_allclose(high, np.percentile(rows.abs(), percent, axis=1), rtol=1e-5)
        assert torch.equal(low, -high)
    everything = observed_range(Percentile(100), rows, UNSIGNED)
    assert as_lists(everything) == as_lists(observed_range(MinMax(), rows, UNSIGNED))


def test_a_percentile_over_batches_is_that_of_all_values():
    observer = Percentile(95)
    for batch in values().split(100, dim=1):
        observer.observe(batch)
    whole = observed_range(Percentile(95), values(), UNSIGNED)
    assert as_lists(observer.range(UNSIGNED)) == as_lists(whole)


def test_a_sample_is_whole_as_long_as_it_fits_and_uniform_beyond():
    sample = Sample(most=10)
    sample.add(torch.arange(6.0).reshape(1, 6))
    sample.add(torch.arange(6.0, 10.0).reshape(1, 4))
    assert sample.rows.tolist() == [[float(i) for i in range(10)]]
    seen = torch.zeros(30)
    for seed in range(600):
        sample = Sample(most=10, seed=seed)
        for batch in torch.arange(30.0).reshape(1, 30).split([25, 1, 4], dim=1):
            sample.add(batch)
        assert sample.rows.shape == (1, 10)
        seen[sample.rows[0].long()] += 1
    # Each value is kept with probability 1/3, whenever it came: 200 of 600, deviation 11.5.
    assert bool((seen - 200).abs().max() < 5 * 11.5)


# Mean squared error


@pytest.mark.parametrize("grid", [Grid(2), Grid(4), Grid(3, symmetric=False), Grid(8)])
@pytest.mark.parametrize("shape", [(2, 400), (5, 12)])
def test_the_range_is_the_best_of_a_slow_search(grid, shape):
    rows = values(3, shape) ** 3
    low, high = observed_range(MeanSquared(25), rows, grid)
    ends = {"quant_min": grid.quant_min, "quant_max": grid.quant_max}

    def error(row, lowest, highest):
        scale, zero_point = choose_qparams(lowest, highest, grid)
        return (fake_quantize(row, scale, zero_point, **ends) - row).double().square().mean().item()

    for row, lowest, highest in zip(rows, low, high, strict=True):
        tried = [error(row, row.min() * k / 25, row.max() * k / 25) for k in range(1, 26)]
        assert error(row, lowest, highest) == pytest.approx(min(tried), rel=1e-4)


def test_an_outlier_widens_min_max_and_not_the_best_range():
    rows = torch.cat([values(0, (1, 1000)), torch.tensor([[100.0]])], dim=1)
    assert observed_range(MinMax(), rows, GRID)[1].item() == 100.0
    assert observed_range(Percentile(99), rows, GRID)[1].item() < 5
    wide = values(0, (1, 100_000)) * 0.5
    wide[0, 0] = 6.0
    assert observed_range(MeanSquared(), wide, GRID)[1].item() < 3


# Entropy


def slow_divergence(bins, kept, levels):
    """Slides 38 to 41 in plain loops."""
    p = list(bins[:kept])
    p[-1] += sum(bins[kept:])
    q = [0.0] * kept
    for level in range(levels):
        members = [k for k in range(kept) if k * levels // kept == level]
        filled = [k for k in members if bins[k] > 0]
        for k in filled:
            q[k] = sum(bins[m] for m in members) / len(filled)
    if sum(q) == 0:
        return math.inf
    p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return math.inf
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def test_the_example_of_the_slides():
    # 8 bins in 2 levels: [1, 0, 2, 3 | 5, 3, 1, 7] -> [2, 0, 2, 2 | 4, 4, 4, 4], both sum to 22.
    bins = [1, 0, 2, 3, 5, 3, 1, 7]
    q = [2, 0, 2, 2, 4, 4, 4, 4]
    expected = sum(p / 22 * math.log(p / m) for p, m in zip(bins, q, strict=True) if p)
    assert divergences(torch.tensor(bins), 2)[-1].item() == pytest.approx(expected)
    assert slow_divergence(bins, 8, 2) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(12))
def test_the_threshold_is_that_of_a_slow_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    magnitudes = torch.randn(1, 400, generator=generator).abs() ** (1 + seed % 3)
    histogram = Histogram(64)
    histogram.add(magnitudes)
    bins = histogram.counts[0].tolist()
    slow = {kept: slow_divergence(bins, kept, 8) for kept in range(8, 65)}
    fast = divergences(histogram.counts[0], 8).tolist()
    assert fast == pytest.approx(list(slow.values()), abs=1e-12)
    best = best_bins(histogram.counts[0], 8)
    assert slow[best] == pytest.approx(min(slow.values()), abs=1e-12)


def test_all_bins_are_kept_where_nothing_can_be_told():
    assert best_bins(torch.zeros(32), 8) == 32
    assert best_bins(torch.ones(32), 64) == 32
    rows = values(4, (1, 100))  # fewer values than bins
    assert observed_range(Entropy(128), rows, Grid(2))[1].item() == rows.abs().max().item()


def test_entropy_is_the_threshold_in_the_middle_of_the_next_bin():
    rows = values(4, (1, 5000))
    histogram = Histogram(256)
    histogram.add(rows.abs())
    kept = best_bins(histogram.counts[0], 8)
    assert kept < 250  # the tail of a normal distribution is worth less than finer steps
    low, high = observed_range(Entropy(256), rows, GRID)
    expected = (kept + 0.5) * histogram.bound[0].item() / 256
    assert high.item() == pytest.approx(expected)
    assert low.item() == -high.item()


def test_after_a_relu_all_codes_are_levels_and_zeros_do_not_count():
    rows = values(5, (1, 4000)).relu()
    low, high = observed_range(Entropy(256), rows, UNSIGNED)
    histogram = Histogram(256)
    histogram.add(rows[rows > 0][None])
    kept = best_bins(histogram.counts[0], 16)
    assert low.item() == 0.0
    bound = histogram.bound[0].item()
    assert high.item() == pytest.approx(min((kept + 0.5) * bound / 256, bound))


def test_a_histogram_grows_as_if_all_had_come_at_once():
    rows = values(6, (2, 300)).abs()
    rows[0, 200] = 20.0
    grown = Histogram(32)
    for batch in rows.split(60, dim=1):
        grown.add(batch)
    for group in range(2):
        bound = grown.bound[group].item()
        # Mirrored: numpy's bins are open above, these are open below.
        counts, _ = np.histogram(-rows[group].double(), bins=32, range=(-bound, 0))
        assert grown.counts[group].tolist() == counts[::-1].tolist()
        assert bound / 2 < rows[group].max().item() <= bound


def test_a_histogram_of_zeros_waits_for_its_first_value():
    histogram = Histogram(4)
    histogram.add(torch.zeros(1, 5))
    assert (histogram.counts.sum().item(), histogram.bound.item()) == (0, 0.0)
    histogram.add(torch.tensor([[0.0, 1.0, 2.0]]))
    assert histogram.counts.tolist() == [[0, 1, 0, 1]]


def test_one_calibration_serves_every_width():
    observer = MeanSquared()
    observer.observe(PerTensor().rows(values()))
    highs = [observer.range(Grid(bits))[1].item() for bits in (2, 3, 4, 8)]
    assert highs == sorted(highs)
    assert highs[0] < highs[-1]

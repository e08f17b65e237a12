import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.data.splitting import class_shares, stratified_split


def test_shares_by_hand():
    # Quotas of 5 out of (10, 6, 4): 2.5, 1.5, 1.0. The missing one goes to the lowest of a tie.
    assert class_shares(np.array([10, 6, 4]), [5]).tolist() == [[7, 5, 3], [3, 1, 1]]


def test_every_class_gets_one_even_where_its_quota_is_less():
    # The quotas of 10 are 9.7, 0.3: without the minimum the small class would vanish.
    assert class_shares(np.array([97, 3]), [10, 10]).tolist() == [[79, 1], [9, 1], [9, 1]]


def test_the_rest_and_every_part_keep_one_of_each_class_however_much_is_asked():
    assert class_shares(np.array([3, 3]), [3, 3]).tolist() == [[1, 1], [1, 1], [1, 1]]
    assert class_shares(np.array([9, 3]), [0, 12]).tolist() == [[1, 1], [1, 1], [7, 1]]


def test_a_class_with_too_few_goes_to_the_rest_first():
    assert class_shares(np.array([1, 20]), [4]).tolist() == [[1, 16], [0, 4]]


@given(
    counts=st.lists(st.integers(3, 400), min_size=1, max_size=12),
    fractions=st.tuples(st.floats(0.01, 0.49), st.floats(0.01, 0.49)),
)
def test_shares_add_up_and_stay_within_one_of_the_quota(counts, fractions):
    counts = np.array(counts)
    sizes = [round(fraction * counts.sum()) for fraction in fractions]
    shares = class_shares(counts, sizes)
    assert (shares.sum(axis=0) == counts).all()
    assert shares.min() >= 1
    for row, size in zip(shares[1:], sizes, strict=True):
        quota = size * counts / counts.sum()
        # Where neither "at least one" nor "leave one for each" binds, the method is exact.
        if quota.min() >= 1 and (shares[0] > 1).all():
            assert row.sum() == size
            assert np.abs(row - quota).max() <= 1


@given(
    targets=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_parts_are_disjoint_and_lose_nothing(targets, seed, data):
    targets = np.array(targets)
    first = data.draw(st.integers(0, len(targets)))
    second = data.draw(st.integers(0, len(targets) - first))
    parts = stratified_split(targets, [first, second], seed)
    assert sorted(np.concatenate(parts)) == list(range(len(targets)))
    present = np.bincount(targets, minlength=5)
    shares = class_shares(present, [first, second])
    for part, row in zip(parts, shares, strict=True):
        assert (np.bincount(targets[part], minlength=5) == row).all()


def test_the_parts_are_pinned_for_ever():
    parts = stratified_split(np.array([0, 1] * 6), [3, 2], seed=7)
    assert [part.tolist() for part in parts] == PINNED


PINNED = [[7, 10, 2, 5, 0, 1, 11], [8, 3, 6], [9, 4]]


def test_the_seed_decides_and_no_global_stream_moves():
    targets = np.arange(100) % 5
    np.random.seed(3)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = stratified_split(targets, [20], seed=0)
    again = stratified_split(targets, [20], seed=0)
    other = stratified_split(targets, [20], seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[1], other[1])
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_parts_are_shuffled_so_that_their_first_examples_are_a_fair_sample():
    rest, held_out = stratified_split(np.repeat([0, 1], 500), [300], seed=0)
    assert 35 <= (rest[:100] < 500).sum() <= 65
    assert 35 <= (held_out[:100] < 500).sum() <= 65


def test_bad_sizes_and_seeds_are_refused():
    targets = np.zeros(4, dtype=int)
    with pytest.raises(
        ValueError, match=re.escape("sizes must add up to at most 4 examples, got 5.")
    ):
        stratified_split(targets, [3, 2])
    with pytest.raises(
        ValueError, match=re.escape("sizes must be a whole number of at least 0, got -1.")
    ):
        stratified_split(targets, [-1])
    with pytest.raises(
        ValueError, match=re.escape("seed must be a whole number from 0 to 4294967295, got -1.")
    ):
        stratified_split(targets, [1], seed=-1)

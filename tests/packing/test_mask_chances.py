from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing import mask_chances
from lwlab.packing.mask_chances import Known, chances, steps_in_order


def slow_chances(mask, lag, tile=(1, 1)):
    """The formulas of the module, one element at a time, for odds of 2**-20 to 2**20."""
    rows, columns = mask.shape
    step = {(i, j): i // tile[0] + j // tile[1] for i in range(rows) for j in range(columns)}
    bins, found = {}, {}
    for now in sorted(set(step.values())):
        before = [place for place in step if step[place] < now]
        mean = np.float32((sum(bool(mask[p]) for p in before) + 0.5) / (len(before) + 1))
        turn = {}
        for i, j in (place for place in step if step[place] == now):
            above, below = mean, 1 - mean
            row = [mask[i, c] for c in range(j // tile[1] * tile[1])]
            column = [mask[r, j] for r in range(i // tile[0] * tile[0])]
            for known in (row, column):
                ones, seen = np.float32(sum(known)), np.float32(len(known))
                above *= (ones + 1) * (seen - seen * mean + 1)
                below *= (seen - ones + 1) * (seen * mean + 1)
            distances = set() if lag is None else {1, 2, lag - 1, lag, lag + 1}
            near = sum(row[j - d] for d in distances if 0 <= j - d < len(row))
            half_powers = math.floor(2 * math.log2(above / below))
            turn[i, j] = (half_powers, near)
            odds = 2.0 ** (half_powers // 2 + 1) * (0.84 if half_powers % 2 else 0.59)
            seen, ones = bins.get((half_powers, near), (0, 0))
            found[i, j] = (ones + odds / (1 + odds)) / (seen + 1)
        for place, key in turn.items():
            seen, ones = bins.get(key, (0, 0))
            bins[key] = (seen + 1, ones + bool(mask[place]))
    return np.array([found[i, j] for i in range(rows) for j in range(columns)])


def striped(rows, columns, seed):
    generator = np.random.default_rng(seed)
    of_rows, of_columns = generator.beta(0.5, 1, rows), generator.beta(0.5, 1, columns)
    return generator.random((rows, columns)) < np.outer(of_rows, of_columns)


@st.composite
def masks(draw):
    rows, columns = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    return striped(rows, columns, draw(st.integers(0, 2**32 - 1)))


def test_the_first_elements_by_hand():
    # Nothing is known: a mean of 1/2, odds of 1, and these, to half a power of two, mean 1.18.
    mask = np.array([[True, True], [False, True]])
    first, right, below, last = chances(mask, None)
    assert first == pytest.approx(1.18 / 2.18)
    # Of 1 element 1 was a one: a mean of 0.75, odds of 3. The row says 2 / 1.75 against 1 / 1.25
    # for the zeros, together 4.29: from 4 to 5.66, which means 4.72.
    assert right == below == pytest.approx(4.72 / 5.72)
    # Of 3 elements 2 were ones: a mean of 5/8, odds of 5/3. Row: 1 / 1.625 against 2 / 1.375;
    # column: 2 / 1.625 against 1 / 1.375. Together 1.19, from 1 to 1.41: the bin of the first
    # element, of 1 one in 1.
    assert last == pytest.approx((1 + 1.18 / 2.18) / 2)


@settings(deadline=None, max_examples=60)
@given(masks(), st.sampled_from([None, 3, 4, 7, 200]))
def test_chances_are_those_of_a_slow_loop(mask, lag):
    assert chances(mask, lag) == pytest.approx(slow_chances(mask, lag), rel=1e-9)


@pytest.mark.parametrize("lag", [None, 5])
def test_where_rows_go_together_they_know_nothing_of_each_other(monkeypatch, lag):
    monkeypatch.setattr(mask_chances, "_MOST_STEPS", 4)
    mask = striped(6, 15, seed=3)
    assert chances(mask, lag) == pytest.approx(slow_chances(mask, lag, tile=(2, 4)), rel=1e-9)
    _, begins = steps_in_order(mask.shape)
    assert len(begins) == 3 + 4 - 1 + 1


@settings(deadline=None, max_examples=60)
@given(masks(), st.sampled_from([None, 3, 4, 7, 200]), st.sampled_from([3, 1024]))
def test_the_reader_finds_the_same_to_the_bit(mask, lag, most_steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_chances, "_MOST_STEPS", most_steps)
        expected, known = chances(mask, lag), Known(mask.shape, lag)
        order, begins = steps_in_order(mask.shape)
        for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
            places = order[begin:end]
            assert np.array_equal(known.chances(places, begin), expected[places])
            known.learn(mask.reshape(-1)[places])
        assert np.array_equal(known.mask, mask)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (1, 2000), (2100, 2)])
def test_every_element_has_its_turn_once_and_a_step_goes_along_a_diagonal(shape):
    order, begins = steps_in_order(shape)
    assert sorted(order.tolist()) == list(range(math.prod(shape)))
    assert (begins[0], begins[-1]) == (0, math.prod(shape))
    if max(shape) < 1000:
        for number, (begin, end) in enumerate(itertools.pairwise(begins)):
            assert {sum(divmod(place, shape[1])) for place in order[begin:end].tolist()} == {number}
    assert len(begins) - 1 <= 2 * 1024


def test_dead_rows_and_columns_become_unlikely():
    mask = np.random.default_rng(0).random((60, 60)) < 0.5
    mask[30], mask[:, 30] = False, False
    found = chances(mask, None).reshape(60, 60)
    assert found[30, 40:].max() < 0.15
    assert found[40:, 30].max() < 0.15
    assert found[40:50, 40:50].min() > 0.3


def test_ones_beside_ones_become_likely():
    mask = np.repeat(np.random.default_rng(0).random((60, 20)) < 0.1, 3, axis=1)
    found = chances(mask, 3).reshape(60, 60)
    after_one = found[:, 1:][mask[:, :-1]]
    assert after_one.mean() > 3 * mask.mean()


def test_probabilities_stay_inside_for_all_zeros_and_all_ones():
    for value in (False, True):
        found = chances(np.full((300, 300), value), 28)
        assert 0 < found.min() <= found.max() < 1
        assert abs(found[-1] - value) < 1e-3

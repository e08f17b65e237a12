"""The multiple-choice knapsack against trying all combinations."""

import itertools
import random

import pytest

from lwlab.quantize.mixed.knapsack import Option, choose


def by_trying_all(items, capacity):
    losses = [
        sum(option.loss for option in chosen)
        for chosen in itertools.product(*items)
        if sum(option.size for option in chosen) <= capacity
    ]
    return min(losses, default=None)


def test_a_case_by_hand():
    # Sizes 8 + 8 are too many. The first item loses 1 by getting small, the second one 5.
    items = [[Option(0.0, 8), Option(1.0, 2)], [Option(0.0, 8), Option(5.0, 2)]]
    found = choose(items, 10)
    assert (found.options, found.loss, found.size) == ((1, 0), 1.0, 10)
    assert found.bound == pytest.approx(1.0)
    assert choose(items, 16).options == (0, 0)
    assert choose(items, 9).options == (1, 1)
    assert choose(items, 4).options == (1, 1)
    assert choose(items, 3) is None


@pytest.mark.parametrize("seed", range(20))
def test_it_finds_what_trying_all_finds(seed):
    rng = random.Random(seed)
    items = [
        [Option(rng.random() * 10 ** rng.uniform(-6, 0), rng.randint(1, 50)) for _ in range(n)]
        for n in (rng.randint(1, 5) for _ in range(5))
    ]
    capacity = rng.randint(20, 200)
    found, expected = choose(items, capacity), by_trying_all(items, capacity)
    if expected is None:
        assert found is None
        return
    most = max(option.loss for row in items for option in row)
    assert found.loss == pytest.approx(expected, abs=1e-6 * most * len(items))
    assert found.size <= capacity
    assert found.bound <= found.loss
    assert found.size == sum(r[i].size for r, i in zip(items, found.options, strict=True))
    assert found.loss == sum(r[i].loss for r, i in zip(items, found.options, strict=True))


def test_many_small_items_are_hardly_above_the_bound():
    rng = random.Random(0)
    items = [
        [Option(rng.random() * 4.0**-bits, 100 * bits / 8) for bits in (2, 3, 4, 6, 8)]
        for _ in range(300)
    ]
    found = choose(items, 300 * 50, gap=1e-3)
    assert found.bound <= found.loss <= 1.001 * found.bound
    assert found.size <= 300 * 50


def test_losses_of_zero_are_no_trouble():
    assert choose([[Option(0.0, 3), Option(0.0, 2)]], 2).options == (1,)

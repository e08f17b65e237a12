from __future__ import annotations

import numpy as np

from lwlab.prune.channels.positions import Positions


def test_new_positions_count_on_and_are_alone():
    positions = Positions()
    assert positions.new(3).tolist() == [0, 1, 2]
    assert positions.new(2).tolist() == [3, 4]
    assert positions.roots().tolist() == [0, 1, 2, 3, 4]


def test_united_positions_have_the_smallest_of_them_as_root():
    positions = Positions()
    one, two, three = positions.new(2), positions.new(2), positions.new(2)
    positions.unite(three, two)
    positions.unite(two[::-1], one)
    assert positions.roots().tolist() == [0, 1, 1, 0, 1, 0]
    assert positions.roots_of(three).tolist() == [1, 0]


def test_together_unites_lists_and_leaves_the_positions_as_they_were():
    positions = Positions()
    first, second = positions.new(2), positions.new(3)
    positions.unite(first[1:], second[:1])
    assert positions.together([second]).tolist() == [0, 1, 1, 1, 1]
    assert positions.together([first, second]).tolist() == [0] * 5
    assert positions.roots().tolist() == [0, 1, 1, 3, 4]


def test_the_first_reason_is_kept():
    positions = Positions()
    positions.fix(positions.new(2), "one")
    positions.fix(np.array([1]), "two")
    assert positions.fixed == {0: "one", 1: "one"}

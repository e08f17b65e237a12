from __future__ import annotations

import numpy as np
import pytest

from lwlab.prune.channels.choosing import choose_globally, choose_in_group

ONE_CELL = np.zeros(4, int)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0, []), (0.25, [1]), (0.5, [1, 3]), (0.75, [0, 1, 3]), (0.99, [0, 1, 3])],
)
def test_the_lowest_go_and_one_stays(ratio, expected):
    scores = np.array([2.0, 0.5, 3.0, 1.0])
    assert choose_in_group(scores, ONE_CELL, ratio).tolist() == expected


def test_of_equal_scores_the_earlier_goes():
    assert choose_in_group(np.ones(4), ONE_CELL, 0.5).tolist() == [0, 1]


def test_each_cell_loses_equally_many():
    scores, cells = np.array([1.0, 2, 3, 4, 9, 8, 7, 6]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert choose_in_group(scores, cells, 0.5).tolist() == [0, 1, 6, 7]
    assert choose_in_group(scores, cells, 0.9).tolist() == [0, 1, 2, 5, 6, 7]


def test_global_ranks_over_groups_and_keeps_the_best_of_each():
    scores = [np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.15, 2.0])]
    cells = [np.zeros(3, int), np.zeros(3, int)]
    removed = choose_globally(scores, cells, 0.5)
    assert [indices.tolist() for indices in removed] == [[0, 1], [1]]
    removed = choose_globally(scores, cells, 0.9)
    assert [indices.tolist() for indices in removed] == [[0, 1], [0, 1]]


def test_global_rounds_a_divided_group_cell_by_cell():
    scores = [np.array([0.1, 0.2, 0.3, 5.0]), np.array([1.0, 2.0])]
    cells = [np.array([0, 0, 1, 1]), np.zeros(2, int)]
    removed = choose_globally(scores, cells, 0.5)
    assert [indices.tolist() for indices in removed] == [[0, 2], [0]]

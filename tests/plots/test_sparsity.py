import re

import pytest

from lwlab.measure import Accuracy
from lwlab.plots import accuracy_against_sparsity, describe

GHOST = ((0.0, Accuracy(95, 100)), (0.9, Accuracy(30, 100)))
L1 = ((0.0, Accuracy(94, 100)), (0.9, Accuracy(80, 100)))


def test_points_stand_where_they_were_measured_with_their_intervals():
    ghost, line = accuracy_against_sparsity({"no penalty": GHOST, "L1": L1}).data
    assert list(line.x) == [0, 90]
    assert list(line.y) == [94, 80]
    accuracy = L1[1][1]
    assert line.error_y.array[1] == pytest.approx(100 * (accuracy.high - 0.8))
    assert line.error_y.arrayminus[1] == pytest.approx(100 * (0.8 - accuracy.low))
    assert line.text[1] == "L1, 90.0 % zeros<br>80.0 % right (71.1-86.7 %)"
    assert (ghost.line.dash, ghost.marker.symbol) != (line.line.dash, line.marker.symbol)


def test_an_empty_curve_is_left_out_and_the_others_keep_their_looks():
    whole = accuracy_against_sparsity({"no penalty": GHOST, "L1": L1})
    late = accuracy_against_sparsity({"no penalty": (), "L1": L1})
    assert [trace.name for trace in late.data] == ["L1"]
    assert late.data[0].line == whole.data[1].line


def test_the_summary_names_the_end_of_each_curve_or_says_that_there_is_none():
    figure = accuracy_against_sparsity({"no penalty": GHOST, "L1": L1})
    assert describe(figure) == (
        "Accuracy against sparsity; at the right end no penalty 30.0 % at 90.0 % zeros, "
        "L1 80.0 % at 90.0 % zeros."
    )
    assert describe(accuracy_against_sparsity({"L1": ()})) == (
        "Accuracy against sparsity: nothing measured yet."
    )


def test_a_name_is_drawn_letter_by_letter():
    (trace,) = accuracy_against_sparsity({"<b>me</b>": L1}).data
    assert trace.name == "&lt;b&gt;me&lt;/b&gt;"


def test_more_curves_than_can_be_told_apart_are_refused():
    sentence = "curves must be at most 4, got 5."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        accuracy_against_sparsity({str(i): L1 for i in range(5)})

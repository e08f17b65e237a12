"""What both tables share, tried on a table of the plainest kind."""

import re
from dataclasses import dataclass

import pytest

from lwlab.measure import Accuracy
from lwlab.measure.layer_scan import LayerScan, check_same_baseline, check_same_scan


@dataclass(frozen=True)
class Table(LayerScan):
    baseline: Accuracy
    layers: tuple
    steps: tuple
    points: tuple
    tolerance: float | None = None

    steps_field = "steps"
    cells_field = "points"
    cell_type = Accuracy
    title = "right"

    def accuracy_of_cell(self, cell):
        return cell

    def tried_before(self, row, column):
        return row[:column]

    def heading(self, step):
        return f"step {step}"

    def _column(self, step):
        return self.steps.index(step)


def table(points=((None, None), (None, None)), tolerance=None, layers=("a", "b")):
    return Table(Accuracy(9, 10), layers, (1, 2), points, tolerance)


def test_points_are_added_and_counted_and_printed():
    one = table().with_point("b", 2, Accuracy(5, 10))
    assert (one.total, one.done, table().done) == (4, 1, 0)
    assert one.points == ((None, None), (None, Accuracy(5, 10)))
    assert str(one).splitlines()[-1].split() == ["b", "-", "50.0", "%"]


def test_what_follows_a_point_too_low_is_settled_and_one_on_the_edge_is_not_too_low():
    fallen = table(tolerance=0.3).with_point("a", 1, Accuracy(5, 10))
    assert fallen.is_settled("a", 2)
    assert not fallen.is_settled("b", 1)
    on_edge = table(tolerance=0.3).with_point("a", 1, Accuracy(6, 10))
    assert not on_edge.is_settled("a", 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layers": ("a", "a")}, "layers must be different names, at least one, got ('a', 'a')."),
        (
            {"points": ((None, None),)},
            "points must hold 2 rows of 2, one row a layer, got rows of 2.",
        ),
        (
            {"points": ((Accuracy(1, 7), None), (None, None))},
            "a point must be of the baseline's 10 examples, got 7.",
        ),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        table(**changes).check_form()


def test_a_cell_of_another_kind_is_refused():
    sentence = "a point must be an Accuracy or None, got float."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        table(points=((0.5, None), (None, None))).check_form()


def test_a_scan_goes_on_only_with_a_table_of_its_own():
    check_same_scan(table(), Table, ("a", "b"), (1, 2))
    with pytest.raises(TypeError, match=r"^known must be a Table, got str\.$"):
        check_same_scan("x", Table, ("a", "b"), (1, 2))
    sentence = "known must be of the same steps, 1, 3, got 1, 2. Leave it out to begin anew."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_same_scan(table(), Table, ("a", "b"), (1, 3))


def test_another_baseline_is_another_model():
    check_same_baseline(Accuracy(9, 10), Accuracy(9, 10), "pruning")
    sentence = (
        "known must be of the same model and split, with 8 of 10 right before pruning, got 9 of "
        "10. Leave it out to begin anew."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_same_baseline(Accuracy(9, 10), Accuracy(8, 10), "pruning")

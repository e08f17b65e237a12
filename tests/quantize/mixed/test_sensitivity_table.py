"""The table of a bit sensitivity: its points, its JSON, and parts that do not fit."""

import json
import re

import pytest

from lwlab.measure import Accuracy
from lwlab.quantize.mixed.bit_point import BitPoint
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity, check_widths


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def point(correct, divergence=0.5):
    return BitPoint(Accuracy(correct, 100), -0.25, divergence)


def table(tolerance=None):
    empty = BitSensitivity.empty(Accuracy(90, 100), ["a", "b<b>"], [2, 4, 8], tolerance)
    return empty.with_point("a", 8, point(88)).with_point("b<b>", 8, point(60))


def test_points_accuracies_and_drops():
    found = table()
    assert found.point_at("a", 8) == point(88)
    assert found.drop_at("a", 8) == pytest.approx(0.02)
    assert found.drop_at("a", 2) is None
    assert found.accuracies == (
        (None, None, Accuracy(88, 100)),
        (None, None, Accuracy(60, 100)),
    )
    assert (found.done, found.total) == (2, 6)


def test_early_exit_settles_what_is_narrower():
    found = table(tolerance=0.1)
    assert found.is_settled("b<b>", 2)
    assert not found.is_settled("a", 2)
    assert found.done == 4


def test_json_there_and_back():
    found = table(tolerance=0.1)
    assert BitSensitivity.from_json(found.to_json()) == found
    assert json.loads(found.to_json())["points"][0] == [None, None, [88, 100, -0.25, 0.5]]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"bits": [4, 2, 8]},
        {"points": [[None] * 3]},
        {"points": [[None, None, [1, 2]], [None] * 3]},
        {"points": [[None, None, []], [None] * 3]},
        {"points": [[None, None, [88, 100, "x", 0.5]], [None] * 3]},
        {"points": [[None, None, [88, 100, 0.5, -1]], [None] * 3]},
        {"points": [[None, None, [88, 100, float("nan"), 1]], [None] * 3]},
        {"points": [[None, None, [8, 10, 0.5, 1]], [None] * 3]},
        {"layers": ["a", "a"]},
        {"layers": [1, 2]},
        {"baseline": [101, 100]},
        {"tolerance": 7},
    ],
)
def test_json_of_a_stranger_is_refused_in_one_sentence(change):
    content = json.loads(table().to_json()) | change
    with pytest.raises(ValueError, match=r"text must be what BitSensitivity.to_json\(\) wrote"):
        BitSensitivity.from_json(json.dumps(content))
    with pytest.raises(ValueError, match=r"text must be what BitSensitivity.to_json\(\) wrote"):
        BitSensitivity.from_json("[" * 100_000)


def test_it_shows_a_table_and_escapes_names():
    assert str(table()).splitlines() == [
        "accuracy with one layer quantized  2 bits  4 bits  8 bits",
        "a                                  -       -       88.0 %",
        "b<b>                               -       -       60.0 %",
    ]
    assert "b&lt;b&gt;" in table()._repr_html_()
    assert "b<b>" not in table()._repr_html_()


def test_parts_that_do_not_fit():
    with says(ValueError, "num_bits must be one that was scanned, 2, 4, 8, got 3."):
        table().point_at("a", 3)
    with says(ValueError, "layer must be one of 'a' or 'b<b>', got 'c'."):
        table().point_at("c", 2)
    with says(ValueError, "a point must be of the baseline's 100 examples, got 10."):
        table().with_point("a", 2, BitPoint(Accuracy(1, 10), 0.0, 0.0))
    with says(TypeError, "a point must be a BitPoint or None, got Accuracy."):
        table().with_point("a", 2, Accuracy(1, 100))
    with says(TypeError, "accuracy must be an Accuracy, got int."):
        BitPoint(1, 0.0, 0.0)
    with says(ValueError, "divergence must be a finite number of at least 0, got -1.0."):
        BitPoint(Accuracy(1, 1), 0.0, -1.0)
    with says(ValueError, "layers must be different names, at least one, got ()."):
        BitSensitivity.empty(Accuracy(1, 1), [], [2])
    with says(ValueError, "points must hold 1 rows of 2, one row a layer, got rows of 1."):
        BitSensitivity(Accuracy(1, 1), ("a",), (2, 4), ((None,),))
    with says(TypeError, "baseline must be an Accuracy, got int."):
        BitSensitivity.empty(1, ["a"], [2])
    with says(TypeError, "bits must be a list of widths from 1 to 8, got 4. Try [2, 4, 8]."):
        check_widths(4)

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwlab.journal import Entry, pareto_front


@dataclass(frozen=True)
class Point:
    size_bytes: int | None
    accuracy: float
    latency_ms: float | None = None
    model: str = ""
    dataset: str = ""


def beats(a, b):
    return (
        (a.model, a.dataset) == (b.model, b.dataset)
        and a.size_bytes <= b.size_bytes
        and a.accuracy >= b.accuracy
        and (a.size_bytes, a.accuracy) != (b.size_bytes, b.accuracy)
    )


def test_a_front_by_hand():
    small, best, worse, twin = Point(10, 0.8), Point(30, 0.95), Point(20, 0.7), Point(30, 0.95)
    front = pareto_front([worse, best, small, twin])
    assert front == [small, best]
    assert front[1] is best  # of equal points the first


points = st.builds(
    Point,
    st.integers(0, 6) | st.none(),
    st.integers(0, 6).map(lambda n: n / 6),
    model=st.sampled_from(["a", "b"]),
    dataset=st.sampled_from(["d", "e"]),
)


@given(st.lists(points, max_size=20))
def test_the_front_is_the_brute_force_one_with_ties_once(found):
    measured = [p for p in found if p.size_bytes is not None]
    brute = {p for p in measured if not any(beats(other, p) for other in measured)}
    front = pareto_front(found)
    assert set(front) == brute
    assert len(front) == len(brute)


def test_models_and_data_sets_are_not_compared():
    small = Point(1, 1.0, model="a")
    others = [Point(9, 0.1, model="b"), Point(9, 0.1, model="a", dataset="mnist")]
    assert pareto_front([small, *others]) == [small, *others]


def test_another_cost_leaves_out_what_was_not_measured():
    quick, slow = Point(9, 0.5, latency_ms=1.0), Point(1, 0.5, latency_ms=2.0)
    assert pareto_front([slow, quick, Point(1, 1.0)], x="latency_ms") == [quick]


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (
            {"x": "sizebytes"},
            (
                "x must be one of 'size_bytes', 'latency_ms' or 'seconds', got 'sizebytes'. "
                "Did you mean 'size_bytes'?"
            ),
        ),
        ({"y": "loss"}, "y must be one of 'accuracy', got 'loss'."),
    ],
)
def test_another_axis_is_refused(axes, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        pareto_front([Entry("a", {}, 1.0, 1)], **axes)

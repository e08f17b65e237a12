import dataclasses
import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.measure import Accuracy, Latency, Scorecard, compare, flipped, scorecard
from lwlab.models import SimpleCNN


def timed(low, high, threads=2, batch_size=1):
    return Latency((low + high) / 2, low, high, threads, batch_size)


def card(**changes):
    plain = Scorecard("float", Accuracy(90, 100), 1000, 500, 500, 700, timed(1.0, 1.2))
    return dataclasses.replace(plain, **changes)


def answered(right, total=100):
    """Return a card of a model that is right on exactly these examples."""
    predicted = torch.ones(total, dtype=torch.int64)
    predicted[list(right)] = 0
    targets = torch.zeros(total, dtype=torch.int64)
    return card(accuracy=Accuracy(len(right), total), predicted=predicted, targets=targets)


def change(name, before, after):
    return compare(before, after).changes[name]


def test_the_table_reads_as_a_whole():
    after = card(
        name="pruned",
        accuracy=Accuracy(60, 100),
        size_bytes=250,
        nonzero=50,
        latency=timed(1.1, 1.3),
    )
    lines = str(compare(card(), after)).split("\n")
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["", "float", "pruned", "change"],
        [
            "accuracy",
            "90.0 % (82.6-94.5 %, 90 of 100)",
            "60.0 % (50.2-69.1 %, 60 of 100)",
            "-30.0 points",
        ],
        ["file size", "1.00 kB", "250 B", "4.00x smaller"],
        ["parameters", "500", "500", "the same"],
        ["non-zero", "500", "50", "10.0x fewer"],
        ["MACs", "700", "700", "the same"],
        [
            "latency",
            "1.10 ms (1.00 ms to 1.20 ms), 2 threads, batch 1",
            "1.20 ms (1.10 ms to 1.30 ms), 2 threads, batch 1",
            "no gain seen (the ranges overlap)",
        ],
    ]


def test_the_page_has_the_same_cells_and_escapes_the_names():
    page = compare(card(name="<u>a"), card(name="b&b", size_bytes=2500))._repr_html_()
    assert "&lt;u&gt;a" in page
    assert "b&amp;b" in page
    assert "<u>" not in page
    assert "2.50x larger" in page


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (1000, 100, "10.0x smaller"),
        (1000, 1000, "the same"),
        (1000, 2500, "2.50x larger"),
        (1000, 0, "smaller (to 0)"),
        (0, 10, "larger (from 0)"),
        (0, 0, "the same"),
    ],
)
def test_sizes_are_compared_by_their_ratio(before, after, text):
    assert change("file size", card(size_bytes=before), card(size_bytes=after)) == text


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (timed(0.4, 0.6), "2.20x faster"),
        (timed(2.1, 2.3), "2.00x slower"),
        (timed(0.9, 1.0), "no gain seen (the ranges overlap)"),
        (timed(0.5, 5.0), "no gain seen (the ranges overlap)"),
        (timed(0.4, 0.6, threads=1), "not comparable: other threads or batch"),
        (timed(0.4, 0.6, batch_size=8), "not comparable: other threads or batch"),
    ],
)
def test_a_gain_in_time_is_claimed_only_where_the_ranges_part(after, text):
    assert change("latency", card(), card(latency=after)) == text


@pytest.mark.parametrize(
    ("right", "text"),
    [
        # Of 100, before is right on 0 to 89.
        (range(90), "+0.0 points, no difference seen in 100 examples (0 broken, 0 repaired)"),
        # 5 broken, 0 repaired: p = 2 / 32 = 0.0625.
        (range(5, 90), "-5.0 points, no difference seen in 100 examples (5 broken, 0 repaired)"),
        # 6 broken: p = 2 / 64 = 0.03125.
        (range(6, 90), "-6.0 points (6 broken, 0 repaired)"),
        # 10 broken and 10 repaired: as good, but not the same.
        (
            range(10, 100),
            "+0.0 points, no difference seen in 100 examples (10 broken, 10 repaired)",
        ),
        (range(100), "+10.0 points (0 broken, 10 repaired)"),
    ],
)
def test_the_same_examples_are_compared_one_by_one(right, text):
    assert change("accuracy", answered(range(90)), answered(right)) == text


def test_without_the_answers_six_of_a_hundred_are_no_difference():
    text = "-6.0 points, no difference seen in 100 examples"
    assert change("accuracy", card(), card(accuracy=Accuracy(84, 100))) == text


@pytest.mark.parametrize(
    "after",
    [
        answered(range(60), total=90),
        dataclasses.replace(answered(range(60)), targets=torch.ones(100, dtype=torch.int64)),
        dataclasses.replace(answered(range(60)), targets=None),
        dataclasses.replace(answered(range(60)), predicted=None),
    ],
)
def test_other_examples_are_not_compared_one_by_one(after):
    found = compare(answered(range(90)), after)
    assert found.flips is None
    assert "broken" not in found.changes["accuracy"]


def test_flips_are_those_of_the_two_models(digits_like):
    one, two = SimpleCNN(seed=1), SimpleCNN(seed=2)
    found = compare(scorecard(one, digits_like), scorecard(two, digits_like)).flips
    expected = flipped(one, two, digits_like)
    assert torch.equal(found.broken, expected.broken)
    assert torch.equal(found.repaired, expected.repaired)


def test_the_interval_of_the_difference_is_newcombes():
    # His example (1998, table II, a): 56/70 against 48/80, difference 0.2, method 10 gives
    # 0.0524 to 0.3339. Zero is left out, though the two intervals of Wilson overlap.
    one, two = Accuracy(56, 70), Accuracy(48, 80)
    assert one.low < two.high
    margin = math.hypot(one.value - one.low, two.high - two.value)
    assert 0.2 - margin == pytest.approx(0.0524, abs=5e-5)
    assert compare(card(accuracy=one), card(accuracy=two)).accuracy_differs
    assert compare(card(accuracy=two), card(accuracy=one)).accuracy_differs


@given(*[st.tuples(st.integers(0, 50), st.integers(50, 60))] * 2)
def test_a_difference_is_seen_both_ways_and_never_within_an_interval(one, two):
    before, after = card(accuracy=Accuracy(*one)), card(accuracy=Accuracy(*two))
    seen = compare(before, after).accuracy_differs
    assert seen == compare(after, before).accuracy_differs
    a, b = before.accuracy, after.accuracy
    if a.low <= b.value <= a.high and b.low <= a.value <= b.high:
        assert not seen
    if a.high < b.low or b.high < a.low:
        assert seen


def test_only_scorecards_are_compared():
    sentence = "after must be a Scorecard, got Accuracy. Try measure.scorecard(model, split)."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        compare(card(), Accuracy(1, 2))

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from lwlab.measure.paired import PairedDifference, paired_difference, spread, verdict

# In thousandths: on gaps of 1e-310 scipy's own arithmetic gives out.
FRACTIONS = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=2, max_size=8)


def test_a_worked_case():
    # Gaps 1, 2, 3: mean 2, stdev 1, t(2) = 4.302653; half = 4.302653 / sqrt(3) = 2.484138.
    found = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert found.high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert (found.pairs, found.differs) == (3, False)


@given(FRACTIONS, st.randoms(use_true_random=False))
def test_the_interval_is_scipys_for_the_mean_of_the_gaps(values, random):
    reference = [random.random() for _ in values]
    found = paired_difference(values, reference)
    gaps = np.subtract(values, reference)
    assume(np.ptp(gaps) > 1e-12)  # scipy knows no interval of equal gaps
    low, high = stats.t.interval(0.95, len(gaps) - 1, gaps.mean(), stats.sem(gaps))
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)


@given(FRACTIONS)
def test_what_both_gain_drops_out(values):
    shifted = [value + 0.25 for value in values]
    found = paired_difference(shifted, values)
    assert found.mean == pytest.approx(0.25)
    assert found.high - found.low == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (PairedDifference(0.04, 0.01, 0.07, 5), "+4.0 points"),
        (PairedDifference(-0.04, -0.07, -0.01, 5), "-4.0 points"),
        (PairedDifference(0.04, -0.01, 0.09, 5), "+4.0 points, no difference seen"),
        (PairedDifference(0.04, 0.0, 0.08, 5), "+4.0 points, no difference seen"),
        (PairedDifference(0.04, math.nan, math.nan, 1), "+4.0 points (one seed)"),
    ],
)
def test_a_difference_in_words(difference, text):
    assert verdict(difference) == text


def test_one_pair_has_no_interval_and_one_value_no_spread():
    found = paired_difference([0.5], [0.25])
    assert found.mean == 0.25
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.differs
    assert spread([0.5]) == 0


def test_the_spread_is_the_standard_deviation_of_a_sample():
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "reference", "sentence"),
    [
        (
            [],
            [],
            "values and reference must be pairs, at least one, got 0 and 0 numbers.",
        ),
        (
            [1.0],
            [1.0, 2.0],
            "values and reference must be pairs, at least one, got 1 and 2 numbers.",
        ),
        ([math.nan], [1.0], "values must be a finite number, got nan."),
        ([1.0], [math.inf], "reference must be a finite number, got inf."),
    ],
)
def test_what_makes_no_pairs_is_refused(values, reference, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        paired_difference(values, reference)


def test_a_spread_needs_a_value():
    with pytest.raises(ValueError, match=r"^values must hold at least one number, got none\.$"):
        spread([])

"""Schedules of sparsity: by hand, against torch.ao's cubic one, and between their ends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwlab.prune import cubic, linear, one_shot

SCHEDULES = [one_shot, linear, cubic]
FRACTIONS = st.floats(0, 0.999)


@pytest.mark.parametrize(
    ("schedule", "progress", "sparsity"),
    [
        (one_shot, 0.0, 0.1),
        (one_shot, 1e-9, 0.9),
        (one_shot, 1.0, 0.9),
        (linear, 0.25, 0.3),
        (linear, 0.5, 0.5),
        (cubic, 0.5, 0.8),  # 7/8 of the way from 0.1 to 0.9
        (cubic, 0.75, 0.8875),  # 63/64
    ],
)
def test_sparsities_worked_by_hand(schedule, progress, sparsity):
    assert schedule(progress, 0.9, 0.1) == pytest.approx(sparsity)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_starts_dense_if_not_told_otherwise_and_ends_exactly_at_the_final_sparsity(
    schedule,
):
    assert schedule(0, final=11 / 12) == 0
    assert schedule(1, final=11 / 12) == 11 / 12
    assert schedule(1, final=0.95, initial=0.3) == 0.95


@pytest.mark.parametrize("step", range(11))
def test_cubic_is_torchs_cubic_scheduler(step):
    from torch.ao.pruning import CubicSL

    theirs = CubicSL.sparsity_compute_fn(s_0=0.2, s_f=0.95, t=step, t_0=0, dt=1, n=10)
    assert cubic(step / 10, final=0.95, initial=0.2) == pytest.approx(theirs)


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(st.floats(0, 1), st.floats(0, 1), FRACTIONS, FRACTIONS)
def test_sparsity_never_falls_and_stays_between_its_ends(schedule, one, other, start, end):
    initial, final = sorted((start, end))
    earlier, later = (schedule(p, final, initial) for p in sorted((one, other)))
    assert initial - 1e-12 <= earlier <= later <= final


@given(st.floats(0, 1), FRACTIONS)
def test_cubic_is_ahead_of_linear_on_the_way(progress, final):
    assert cubic(progress, final) >= linear(progress, final)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("progress", "final", "initial", "kind", "sentence"),
    [
        (
            40,
            0.9,
            0,
            ValueError,
            "progress must be a fraction in [0, 1], got 40.0. Did you mean 0.4?",
        ),
        (-0.1, 0.9, 0, ValueError, "progress must be a fraction in [0, 1], got -0.1."),
        (None, 0.9, 0, TypeError, "progress must be a fraction in [0, 1], got None."),
        (
            0.5,
            90,
            0,
            ValueError,
            "final must be a fraction in [0, 1), got 90.0. Did you mean 0.9?",
        ),
        (0.5, 1.0, 0, ValueError, "final must be a fraction in [0, 1), got 1.0."),
        (0.5, 0.9, -0.5, ValueError, "initial must be a fraction in [0, 1), got -0.5."),
        (
            0.5,
            0.2,
            0.9,
            ValueError,
            (
                "initial must be a fraction in [0, final], here [0, 0.2], got 0.9. "
                "Sparsity only rises; did you exchange the two?"
            ),
        ),
    ],
    ids=["late", "early", "none", "percent", "one", "negative", "exchanged"],
)
def test_what_is_out_of_range_is_told_in_one_sentence(
    schedule, progress, final, initial, kind, sentence
):
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        schedule(progress, final, initial)

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.distill.softening import log_soften, soften


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_three_logits_worked_by_hand():
    # z / 2 = (ln 1, ln 2, ln 5): 1/8, 2/8, 5/8
    logits = 2 * torch.tensor([[0.0, math.log(2), math.log(5)]])
    assert soften(logits, 2.0).tolist() == [pytest.approx([0.125, 0.25, 0.625])]
    # at T = 1 the ratios are squared: 1, 4, 25
    assert soften(logits).tolist() == [pytest.approx([1 / 30, 4 / 30, 25 / 30])]


@given(st.floats(0.05, 500), st.integers(0, 1000))
def test_rows_sum_to_one_and_keep_their_order_as_numpy_has_it(temperature, seed):
    logits = 5 * torch.randn(4, 6, generator=torch.Generator().manual_seed(seed)).double()
    scaled = np.exp((logits.numpy() - logits.numpy().max(1, keepdims=True)) / temperature)
    expected = scaled / scaled.sum(1, keepdims=True)
    ours = soften(logits, temperature)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9, atol=1e-300)
    assert torch.equal(ours.argmax(1), logits.argmax(1))
    torch.testing.assert_close(ours.sum(1), torch.ones(4).double())


def test_a_high_temperature_makes_all_classes_alike_and_a_low_one_leaves_the_winner():
    logits = torch.tensor([[1.0, 2.0, 4.0]])
    assert soften(logits, 1e6).tolist() == [pytest.approx([1 / 3] * 3, abs=1e-5)]
    assert soften(logits, 0.01).tolist() == [pytest.approx([0, 0, 1], abs=1e-6)]


def test_the_logarithm_survives_where_the_probability_is_zero():
    logits = torch.tensor([[0.0, 400.0]])
    assert soften(logits)[0, 0] == 0
    assert log_soften(logits)[0, 0] == pytest.approx(-400)
    assert log_soften(logits, 4.0)[0, 0] == pytest.approx(-100)


def test_mistakes_get_one_sentence():
    logits = torch.zeros(2, 3)
    for wrong in (0, -1):
        sentence = f"temperature must be a finite number above 0, got {float(wrong)!r}."
        for function in (soften, log_soften):
            with says(ValueError, sentence):
                function(logits, wrong)
    with says(TypeError, "temperature must be a finite number above 0, got 'hot'."):
        soften(logits, "hot")
    with says(
        TypeError, "logits must be floating-point logits of shape (N, classes), got torch.int64."
    ):
        soften(torch.zeros(2, 3, dtype=torch.int64))
    with says(TypeError, "logits must be floating-point logits of shape (N, classes), got list."):
        soften([[1.0, 2.0]])
    for shape in [(3,), (0, 3), (2, 1)]:
        with says(
            ValueError,
            f"logits must be floating-point logits of shape (N, classes), at least 1 example and 2 "
            f"classes, got shape {shape}.",
        ):
            log_soften(torch.zeros(shape))

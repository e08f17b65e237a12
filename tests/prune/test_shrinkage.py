"""Soft threshold: by hand, against torch's Softshrink and scikit-learn's lasso."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from lwlab.prune import soft_threshold, threshold_mask

WEIGHTS = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20)


def test_weights_move_toward_zero_and_stop_there():
    weight = torch.tensor([[3.0, -0.5, 0.0], [-2.0, 1.0, -1.5]])
    assert soft_threshold(weight, 1).tolist() == [[2.0, 0.0, 0.0], [-1.0, 0.0, -0.5]]


def test_threshold_zero_changes_nothing_and_the_input_is_left_alone():
    weight = torch.tensor([1.5, -2.0, 0.0])
    assert torch.equal(soft_threshold(weight, 0), weight)
    soft_threshold(weight, 1)
    assert weight.tolist() == [1.5, -2.0, 0.0]


def test_what_is_cut_is_a_positive_zero():
    found = soft_threshold(torch.tensor([-0.5, 0.5, -0.0]), 1)
    assert [math.copysign(1, value) for value in found.tolist()] == [1, 1, 1]


@given(WEIGHTS, st.floats(0, 4))
def test_it_is_torchs_softshrink(values, threshold):
    weight = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(soft_threshold(weight, threshold), F.softshrink(weight, threshold))


@given(WEIGHTS, st.floats(0, 4))
def test_it_keeps_what_the_hard_threshold_keeps_but_for_a_weight_on_the_threshold(values, cut):
    weight = torch.tensor(values, dtype=torch.float64)
    hard = threshold_mask(weight, cut) & (weight.abs() != cut)
    assert torch.equal(soft_threshold(weight, cut) != 0, hard)


@given(st.floats(-4, 4), st.floats(0, 4), st.floats(-4, 4))
def test_nothing_is_nearer_at_the_price_of_an_l1_penalty(weight, threshold, other):
    best = soft_threshold(torch.tensor(weight, dtype=torch.float64), threshold).item()

    def cost(value):
        return (value - weight) ** 2 / 2 + threshold * abs(value)

    assert cost(best) <= cost(other) + 1e-12


def test_after_each_gradient_step_it_leads_to_the_lasso_of_scikit_learn():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(60, 8))
    targets = inputs @ [2, -1, 0, 0, 0.5, 0, 0, 0] + 0.1 * generator.normal(size=60)
    lasso = Lasso(alpha=0.2, fit_intercept=False, tol=1e-12).fit(inputs, targets)
    matrix, goal = torch.tensor(inputs), torch.tensor(targets)
    weight = torch.zeros(8, dtype=torch.float64)
    for _ in range(500):
        gradient = matrix.T @ (matrix @ weight - goal) / 60
        weight = soft_threshold(weight - 0.3 * gradient, 0.3 * 0.2)
    assert weight.tolist() == pytest.approx(lasso.coef_.tolist(), abs=1e-9)
    assert int((weight == 0).sum()) == int((lasso.coef_ == 0).sum()) > 0


def test_the_gradient_is_one_outside_and_zero_inside():
    weight = torch.tensor([3.0, -0.5, -2.0], requires_grad=True)
    soft_threshold(weight, 1).sum().backward()
    assert weight.grad.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_of_the_numbers_stays(dtype):
    weight = torch.tensor([2.0], dtype=dtype)
    assert torch.equal(soft_threshold(weight, 0.5), torch.tensor([1.5], dtype=dtype))
    assert torch.equal(soft_threshold(weight, 1e9), torch.tensor([0.0], dtype=dtype))


@pytest.mark.parametrize(
    ("weight", "threshold", "kind", "sentence"),
    [
        (
            torch.ones(2),
            -1,
            ValueError,
            "threshold must be a finite number of at least 0, got -1.0.",
        ),
        (
            torch.tensor([1.0, math.inf]),
            1,
            ValueError,
            "weight must be finite, got 1 NaN or infinite of 2 values (the first at index (1,)).",
        ),
        ([1.0], 1, TypeError, "weight must be a floating-point tensor, got list."),
        (
            torch.tensor([1]),
            1,
            TypeError,
            "weight must be a floating-point tensor, got torch.int64.",
        ),
    ],
    ids=["negative", "infinite", "list", "integers"],
)
def test_what_is_wrong_is_told_in_one_sentence(weight, threshold, kind, sentence):
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        soft_threshold(weight, threshold)

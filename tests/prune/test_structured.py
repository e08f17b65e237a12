"""Whole channels: norms against numpy, masks against torch's ln_structured and a slow loop."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune as torch_prune

from lwlab.prune import spread_over_weight, topk_mask
from lwlab.prune.structured import channel_mask, filter_norm

INFINITE = math.inf


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


# ---- filter_norm ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "axis", "expected"),
    [
        (2, 0, [5.0, 13.0]),
        (1, 0, [7.0, 17.0]),
        (INFINITE, 0, [4.0, 12.0]),
        (1, 1, [8.0, 16.0]),
        (INFINITE, 1, [5.0, 12.0]),
        (0.5, 0, [(math.sqrt(3) + 2) ** 2, (math.sqrt(5) + math.sqrt(12)) ** 2]),
    ],
)
def test_filter_norm_by_hand(order, axis, expected):
    weight = torch.tensor([[3.0, -4.0], [5.0, 12.0]])
    norm = filter_norm(weight, order, axis)
    assert norm.dtype == torch.float64
    assert norm.tolist() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 2, 3, INFINITE])
def test_filter_norm_is_numpys_norm_of_each_slice(order, axis):
    weight = noise(4, 3, 2, 5)
    slices = np.moveaxis(weight.double().numpy(), axis, 0)
    expected = [np.linalg.norm(channel.ravel(), order) for channel in slices]
    assert filter_norm(weight, order, axis).tolist() == pytest.approx(expected, rel=1e-12)


def test_filter_norm_of_half_precision_does_not_overflow():
    weight = torch.full((1, 9), 6e4, dtype=torch.float16)
    assert filter_norm(weight).item() == pytest.approx(3 * float(weight[0, 0]))


def test_filter_norm_of_single_numbers_and_of_nothing():
    assert filter_norm(torch.tensor([-2.0, 0.0])).tolist() == [2.0, 0.0]
    assert filter_norm(torch.zeros(3, 0), INFINITE).tolist() == [0.0, 0.0, 0.0]
    assert filter_norm(torch.zeros(0, 3)).shape == (0,)


def test_filter_norm_carries_no_graph():
    assert not filter_norm(torch.ones(2, 2, requires_grad=True)).requires_grad


# ---- channel_mask --------------------------------------------------------------------------------


def test_channel_mask_prunes_the_channels_of_the_smallest_norm():
    weight = torch.tensor([[3.0, 4.0], [0.0, -1.0], [0.0, 7.0], [0.0, 0.0]])
    assert channel_mask(weight, 0.5).int().tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]
    assert channel_mask(weight, 0.5, axis=1).int().tolist() == [[0, 1]] * 4
    # By the largest value row 0 (4) stays before row 2 (3.9), by the sum the other way round.
    weight = torch.tensor([[0.0, 4.0], [3.9, 3.9]])
    assert channel_mask(weight, 0.5, order=INFINITE)[:, 0].tolist() == [True, False]
    assert channel_mask(weight, 0.5, order=1)[:, 0].tolist() == [False, True]


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.77, 0.99])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", [1, 2, INFINITE])
@pytest.mark.parametrize("shape", [(40, 30), (24, 16, 3, 3), (16, 24, 5), (8, 12, 1, 3, 3)])
def test_channel_mask_is_torchs_ln_structured(shape, order, axis, sparsity):
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(noise(*shape))
    mask = channel_mask(module.weight, sparsity, order=order, axis=axis)
    count = round(sparsity * shape[axis])
    torch_prune.ln_structured(module, "weight", amount=count, n=order, dim=axis)
    assert torch.equal(mask, module.weight_mask.bool())
    assert int((~mask).sum()) * shape[axis] == count * mask.numel()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=7),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([1, 2, INFINITE]),
)
def test_channel_mask_equals_the_slow_loop_with_many_ties(rows, sparsity, order):
    norms = [np.linalg.norm(row, order) for row in rows]
    kept = list(range(len(rows)))
    for _ in range(round(sparsity * len(rows))):
        kept.remove(min(kept, key=lambda i: (norms[i], i)))
    mask = channel_mask(torch.tensor(rows, dtype=torch.float32), sparsity, order=order)
    assert mask.tolist() == [[i in kept] * 3 for i in range(len(rows))]
    turned = channel_mask(torch.tensor(rows, dtype=torch.float32).T, sparsity, order=order, axis=1)
    assert torch.equal(turned, mask.T)


def test_scores_of_another_kind_go_through_topk_mask_and_spreading():
    weight = noise(6, 2, 3)
    kept = topk_mask(filter_norm(weight), 0.5)
    assert torch.equal(spread_over_weight(kept, weight), channel_mask(weight, 0.5))


def test_channel_mask_is_memory_of_its_own():
    mask = channel_mask(noise(4, 3), 0.5)
    mask[0, 0] = not mask[0, 0]
    assert mask[0, 1] != mask[0, 0]


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (
            {"sparsity": 30},
            ValueError,
            "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        ({"order": 0}, ValueError, "order must be a number above 0 or math.inf, got 0."),
        (
            {"order": math.nan},
            ValueError,
            "order must be a number above 0 or math.inf, got nan.",
        ),
        ({"order": "2"}, TypeError, "order must be a number above 0 or math.inf, got '2'."),
        ({"axis": 2}, ValueError, "axis must be a whole number from 0 to 1, got 2."),
        ({"axis": -1}, ValueError, "axis must be a whole number from 0 to 1, got -1."),
        (
            {"weight": torch.tensor([[1.0], [INFINITE]])},
            ValueError,
            "weight must be finite, got 1 NaN or infinite of 2 values (the first at index (1, 0)).",
        ),
        (
            {"weight": torch.tensor(1.0)},
            ValueError,
            "weight must have at least one dimension, got a single number.",
        ),
        (
            {"weight": torch.ones(2, dtype=torch.int64)},
            TypeError,
            "weight must be a floating-point tensor, got torch.int64.",
        ),
        ({"weight": [1.0]}, TypeError, "weight must be a floating-point tensor, got list."),
    ],
)
def test_channel_mask_refuses_in_one_sentence(arguments, kind, sentence):
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        channel_mask(**{"weight": torch.ones(2, 2), "sparsity": 0.5} | arguments)

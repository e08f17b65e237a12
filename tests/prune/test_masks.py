"""The pure mask functions against hand-worked numbers, torch's own pruning, and a slow loop."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune as torch_prune

from lwlab.prune import apply_masks_, magnitude
from lwlab.prune.masks import (
    deviation_mask,
    global_masks,
    n_of_m_mask,
    quantile_threshold,
    threshold_mask,
    topk_mask,
)


def slow_topk_mask(importance: torch.Tensor, sparsity: float) -> torch.Tensor:
    """Take the smallest value out, count times: the definition, as a loop."""
    values = importance.flatten().tolist()
    kept = list(range(len(values)))
    for _ in range(round(sparsity * len(values))):
        kept.remove(min(kept, key=lambda i: (values[i], i)))
    return torch.tensor([i in kept for i in range(len(values))]).reshape(importance.shape)


def zeros(mask: torch.Tensor) -> int:
    return int((~mask).sum())


# ---- threshold_mask and deviation_mask -----------------------------------------------------------


def test_threshold_mask_prunes_below_and_keeps_a_weight_exactly_on_the_threshold():
    weight = torch.tensor([[0.1, -0.5], [0.25, -0.25]])
    assert threshold_mask(weight, 0.25).tolist() == [[False, True], [True, True]]


def test_threshold_zero_keeps_everything_even_zeros():
    assert threshold_mask(torch.tensor([0.0, -0.0, 1.0]), 0).all()


def test_deviation_mask_uses_the_population_deviation():
    # mean 0, variance (4 + 4 + 1 + 1) / 4 = 2.5: the deviation is 1.58; with n - 1 it is 1.83.
    weight = torch.tensor([-2.0, 2.0, 1.0, -1.0])
    assert deviation_mask(weight, 1.2).tolist() == [True, True, False, False]
    assert not deviation_mask(weight, 1.27).any()  # 2.008 > 2; the sample's 1.83 would be 2.32
    assert np.std(weight.numpy()) * 1.26 < 2 < np.std(weight.numpy()) * 1.27


def test_deviation_mask_does_not_depend_on_the_scale_of_a_layer():
    weight = torch.randn(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(deviation_mask(weight, 0.7), deviation_mask(1024 * weight, 0.7))


@pytest.mark.parametrize("weight", [torch.zeros(4), torch.tensor([3.0]), torch.zeros(0)])
def test_deviation_mask_keeps_a_layer_without_spread(weight):
    assert deviation_mask(weight, 5.0).all()


@pytest.mark.parametrize(
    ("function", "name"), [(threshold_mask, "threshold"), (deviation_mask, "deviations")]
)
def test_a_negative_cut_and_a_weight_that_is_not_finite_are_refused(function, name):
    sentence = f"{name} must be a finite number of at least 0, got -0.1."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        function(torch.ones(2), -0.1)
    sentence = "weight must be finite, got 1 NaN or infinite of 2 values (the first at index (1,))."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        function(torch.tensor([1.0, float("nan")]), 0.1)


# ---- quantile_threshold --------------------------------------------------------------------------


def test_quantile_threshold_is_the_smallest_magnitude_that_stays():
    weight = torch.tensor([[0.5, -0.25], [2.0, 1.0]])
    assert quantile_threshold(weight, 0.0) == 0.25
    assert quantile_threshold(weight, 0.25) == 0.5
    assert quantile_threshold(weight, 0.5) == 1.0
    assert quantile_threshold(weight, 0.75) == 2.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_quantile_threshold_can_prune_a_small_tensor_whole_in_any_type(dtype):
    weight = torch.tensor([1.0, -3.0, 2.0], dtype=dtype)
    assert round(0.9 * 3) == 3
    threshold = quantile_threshold(weight, 0.9)
    assert 3 < threshold < 3.02
    assert not threshold_mask(weight, threshold).any()
    assert quantile_threshold(torch.zeros(1, dtype=dtype), 0.9) > 0


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.77, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threshold_mask_at_the_quantile_is_topk_mask_where_no_values_tie(sparsity, dtype):
    weight = torch.randn(30, 20, dtype=dtype, generator=torch.Generator().manual_seed(3))
    assert weight.abs().unique().numel() == 600
    threshold = quantile_threshold(weight, sparsity)
    mask = threshold_mask(weight, threshold)
    assert torch.equal(mask, topk_mask(magnitude(weight), sparsity))
    assert zeros(mask) == round(sparsity * 600)
    magnitudes = weight.abs().flatten().double().numpy()
    assert threshold == np.partition(magnitudes, round(sparsity * 600))[round(sparsity * 600)]
    # numpy and torch count n - 1 gaps where n values are counted here: next door at most.
    near = np.sort(magnitudes)[[max(0, round(sparsity * 600) - 1), round(sparsity * 600)]]
    assert near[0] <= np.quantile(magnitudes, sparsity) <= near[1]
    assert near[0] <= torch.from_numpy(magnitudes).quantile(sparsity) <= near[1]


def test_where_values_tie_at_the_quantile_fewer_are_pruned():
    weight = torch.tensor([1.0, -2.0, 2.0, 2.0, 5.0])
    assert quantile_threshold(weight, 0.6) == 2.0
    assert threshold_mask(weight, 2.0).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("weight", "sparsity", "kind", "sentence"),
    [
        (
            torch.ones(2),
            30,
            ValueError,
            "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (
            torch.ones(2, 0),
            0.5,
            ValueError,
            "weight must hold at least one value, got shape (2, 0).",
        ),
        (
            torch.tensor([float("nan")]),
            0.5,
            ValueError,
            "weight must be finite, got 1 NaN or infinite of 1 values (the first at index (0,)).",
        ),
        (
            torch.ones(2).int(),
            0.5,
            TypeError,
            "weight must be a floating-point tensor, got torch.int32.",
        ),
        (0.5, 0.5, TypeError, "weight must be a floating-point tensor, got float."),
    ],
    ids=["percent", "empty", "NaN", "integers", "number"],
)
def test_quantile_threshold_refuses_in_one_sentence(weight, sparsity, kind, sentence):
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        quantile_threshold(weight, sparsity)


# ---- topk_mask -----------------------------------------------------------------------------------


def test_topk_mask_prunes_the_least_important():
    importance = torch.tensor([[3.0, 1.0], [4.0, 2.0]])
    assert topk_mask(importance, 0.5).tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.99], ids=lambda s: f"sparsity {s}")
def test_topk_mask_zeroes_the_exact_count_even_with_ties(sparsity):
    mask = topk_mask(torch.ones(7), sparsity)
    count = round(sparsity * 7)
    assert mask.tolist() == [False] * count + [True] * (7 - count)


def test_topk_mask_rounds_half_to_even():
    assert zeros(topk_mask(torch.arange(5.0), 0.5)) == 2  # round(2.5)
    assert zeros(topk_mask(torch.arange(7.0), 0.5)) == 4  # round(3.5)


def test_topk_mask_takes_infinite_integer_and_half_importances():
    infinite = torch.tensor([float("inf"), -float("inf"), 0.0, float("inf")])
    assert topk_mask(infinite, 0.75).tolist() == [False, False, False, True]
    assert topk_mask(torch.tensor([2, 1, 3]), 1 / 3).tolist() == [True, False, True]
    assert topk_mask(torch.tensor([2.0, 1.0, 3.0]).half(), 1 / 3).tolist() == [True, False, True]


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.77, 0.999])
def test_topk_mask_is_torchs_l1_unstructured(sparsity):
    layer = torch.nn.Linear(40, 30)
    mask = topk_mask(magnitude(layer.weight.detach()), sparsity)
    torch_prune.l1_unstructured(layer, "weight", amount=round(sparsity * 1200))
    assert torch.equal(mask, layer.weight_mask.bool())


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=0, max_size=24),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_topk_mask_equals_the_slow_loop_with_many_ties(values, sparsity, flat):
    importance = torch.tensor(values, dtype=torch.float32)
    if not flat and len(values) % 2 == 0:
        importance = importance.reshape(2, -1)
    mask = topk_mask(importance, sparsity)
    assert torch.equal(mask, slow_topk_mask(importance, sparsity))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=30),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_a_higher_sparsity_prunes_the_same_weights_and_more(values, one, other):
    importance = torch.tensor(values, dtype=torch.float32)
    low, high = sorted((one, other))
    assert not (topk_mask(importance, high) & ~topk_mask(importance, low)).any()


def test_topk_mask_leaves_its_input_alone():
    importance = torch.tensor([2.0, 1.0])
    topk_mask(importance, 0.5)
    assert importance.tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("importance", "sparsity", "kind", "sentence"),
    [
        (
            torch.ones(3),
            30,
            ValueError,
            "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (torch.ones(3), 1.0, ValueError, "sparsity must be a fraction in [0, 1), got 1.0."),
        (torch.ones(3), "0.5", TypeError, "sparsity must be a fraction in [0, 1), got '0.5'."),
        (
            torch.tensor([1.0, float("nan")]),
            0.5,
            ValueError,
            "importance must not hold NaN, got 1 NaN of 2 values.",
        ),
        ([1.0], 0.5, TypeError, "importance must be a tensor, got list."),
        (
            torch.tensor([True]),
            0.5,
            TypeError,
            "importance must hold real numbers, got torch.bool.",
        ),
    ],
    ids=["percent", "one", "text", "NaN", "list", "bool"],
)
def test_topk_mask_refuses_in_one_sentence(importance, sparsity, kind, sentence):
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        topk_mask(importance, sparsity)


# ---- global_masks --------------------------------------------------------------------------------


def test_global_masks_let_layers_compete():
    masks = global_masks({"a": torch.tensor([1.0, 9.0]), "b": torch.tensor([[2.0], [3.0]])}, 0.5)
    assert masks["a"].tolist() == [False, True]
    assert masks["b"].tolist() == [[False], [True]]
    assert list(masks) == ["a", "b"]


def test_global_masks_may_empty_a_layer_and_prune_the_earlier_layer_first_among_equals():
    masks = global_masks({"a": torch.ones(3), "b": torch.ones(3)}, 0.5)
    assert not masks["a"].any()
    assert masks["b"].all()


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.5, 0.9, 0.997])
def test_global_masks_are_torchs_global_unstructured(sparsity):
    generator = torch.Generator().manual_seed(1)
    layers = {"a": torch.nn.Linear(30, 20), "b": torch.nn.Conv2d(3, 8, 3)}
    for layer in layers.values():
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    masks = global_masks({n: magnitude(m.weight.detach()) for n, m in layers.items()}, sparsity)
    torch_prune.global_unstructured(
        [(layer, "weight") for layer in layers.values()],
        pruning_method=torch_prune.L1Unstructured,
        amount=round(sparsity * 816),
    )
    for name, layer in layers.items():
        assert torch.equal(masks[name], layer.weight_mask.bool())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), max_size=8), min_size=1, max_size=4),
    st.floats(0, 1, exclude_max=True),
)
def test_global_masks_equal_one_mask_over_the_layers_put_end_to_end(layers, sparsity):
    tensors = {str(i): torch.tensor(layer, dtype=torch.float32) for i, layer in enumerate(layers)}
    masks = global_masks(tensors, sparsity)
    together = slow_topk_mask(torch.cat(list(tensors.values())), sparsity)
    assert torch.equal(torch.cat(list(masks.values())), together)


@pytest.mark.parametrize(
    ("importances", "sparsity", "sentence"),
    [
        ({}, 0.5, "importances must hold at least one layer, got none."),
        (
            {"a": torch.ones(2)},
            90,
            "sparsity must be a fraction in [0, 1), got 90.0. Did you mean 0.9?",
        ),
        (
            {"a": torch.ones(2), "b": torch.tensor([float("nan")] * 3)},
            0.5,
            "importance of layer 'b' must not hold NaN, got 3 NaN of 3 values.",
        ),
    ],
    ids=["empty", "percent", "NaN"],
)
def test_global_masks_refuse_in_one_sentence(importances, sparsity, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        global_masks(importances, sparsity)


# ---- n_of_m_mask ---------------------------------------------------------------------------------


def slow_n_of_m_row(values: list[float], kept: int, group: int) -> list[bool]:
    """Take the smallest value of each group out until enough are gone, as a loop."""
    mask = []
    for start in range(0, len(values), group):
        piece = values[start : start + group]
        stays = list(range(len(piece)))
        while len(stays) > kept:
            stays.remove(min(stays, key=lambda i, piece=piece: (piece[i], i)))
        mask += [i in stays for i in range(len(piece))]
    return mask


def test_two_of_four_keeps_the_two_largest_of_each_four():
    importance = torch.tensor([[4.0, 1.0, 3.0, 2.0, 9.0, 8.0, 7.0, 6.0], [0, 0, 0, 0, 1, 2, 3, 4]])
    assert n_of_m_mask(importance, 2, 4).int().tolist() == [
        [1, 0, 1, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0, 1, 1],
    ]


def test_a_short_last_group_keeps_as_many_as_a_full_one_or_all_it_has():
    row = torch.tensor([4.0, 1.0, 3.0, 2.0, 3.0, 1.0, 2.0])
    assert n_of_m_mask(row, 2, 4).int().tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert n_of_m_mask(row[:5], 2, 4).int().tolist() == [1, 0, 1, 0, 1]
    assert n_of_m_mask(torch.zeros(32, 1, 3, 3), 2, 4).all()
    assert n_of_m_mask(torch.zeros(2, 0), 2, 4).shape == (2, 0)


@pytest.mark.parametrize("shape", [(3, 8), (3, 8, 5), (3, 8, 3, 3), (2, 8, 2, 2, 2)], ids=str)
def test_a_group_runs_over_input_channels_at_one_position_of_the_kernel(shape):
    importance = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    mask = n_of_m_mask(importance, 1, 4)
    assert mask.shape == shape
    assert mask.is_contiguous()
    for first in (0, 4):
        piece = slice(first, first + 4)
        assert torch.equal(mask[:, piece].sum(dim=1), torch.ones_like(mask[:, 0], dtype=torch.long))
        best = importance[:, piece].argmax(dim=1, keepdim=True)
        assert mask[:, piece].gather(1, best).all()


@pytest.mark.parametrize(("kept", "group"), [(1, 4), (2, 4), (3, 4), (2, 8), (4, 8), (1, 2)])
def test_n_of_m_mask_is_the_weight_norm_sparsifier_of_torch(kept, group):
    from torch.ao.pruning import WeightNormSparsifier

    model = torch.nn.Sequential(torch.nn.Linear(40, 16), torch.nn.Linear(16, 8))
    masks = {
        name: n_of_m_mask(magnitude(layer.weight.detach()), kept, group)
        for name, layer in model.named_children()
    }
    sparsifier = WeightNormSparsifier(
        sparsity_level=1.0, sparse_block_shape=(1, group), zeros_per_block=group - kept
    )
    sparsifier.prepare(model, config=[{"tensor_fqn": f"{name}.weight"} for name in masks])
    sparsifier.step()
    for name, mask in masks.items():
        theirs = model.get_submodule(name).parametrizations.weight[0].mask
        assert torch.equal(mask, theirs.bool())
        assert zeros(mask) == mask.numel() * (group - kept) // group


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-2, 2), max_size=17),
    st.integers(1, 6).flatmap(lambda m: st.tuples(st.integers(1, m), st.just(m))),
)
def test_n_of_m_mask_equals_the_slow_loop_with_many_ties_and_short_groups(values, pattern):
    row = torch.tensor(values, dtype=torch.float32)
    expected = slow_n_of_m_row(values, *pattern)
    assert n_of_m_mask(row, *pattern).tolist() == expected
    assert n_of_m_mask(torch.stack([row, row]), *pattern).tolist() == [expected, expected]


def test_n_of_m_mask_takes_infinite_and_integer_importances_and_goes_on_a_model():
    infinite = torch.tensor([-float("inf"), float("inf"), 0.0, -float("inf"), -float("inf")])
    assert n_of_m_mask(infinite, 1, 4).tolist() == [False, True, False, False, True]
    assert n_of_m_mask(torch.tensor([2, 1, 3, 0]), 2, 4).tolist() == [True, False, True, False]
    layer = torch.nn.Conv2d(8, 2, 3)
    mask = n_of_m_mask(magnitude(layer.weight), 2, 4)
    apply_masks_(layer, {"model": mask})
    assert torch.equal(layer.weight != 0, mask)


@pytest.mark.parametrize(
    ("importance", "kept", "group", "kind", "sentence"),
    [
        (
            torch.ones(4),
            4,
            2,
            ValueError,
            "kept must be a whole number from 1 to 2, got 4.",
        ),
        (torch.ones(4), 0, 4, ValueError, "kept must be a whole number from 1 to 4, got 0."),
        (torch.ones(4), 1, 0, ValueError, "group must be a whole number of at least 1, got 0."),
        (torch.ones(4), 0.5, 4, ValueError, "kept must be a whole number from 1 to 4, got 0.5."),
        (torch.ones(4), "2", 4, TypeError, "kept must be a whole number from 1 to 4, got '2'."),
        (
            torch.tensor(1.0),
            2,
            4,
            ValueError,
            "importance must have at least one dimension, got a single number.",
        ),
        (
            torch.full((3,), float("nan")),
            2,
            4,
            ValueError,
            "importance must not hold NaN, got 3 NaN of 3 values.",
        ),
        ([1.0], 2, 4, TypeError, "importance must be a tensor, got list."),
    ],
    ids=["exchanged", "zero", "no group", "half", "text", "scalar", "NaN", "list"],
)
def test_n_of_m_mask_refuses_in_one_sentence(importance, kept, group, kind, sentence):
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        n_of_m_mask(importance, kept, group)

"""The Mask on one tensor: zeros, gradients, and copies that do not share a class."""

import copy
import re

import pytest
import torch
from torch import nn

from lwlab.prune import Mask
from lwlab.prune.parametrization import fold_mask_, mask_of, original_of, set_mask_


def linear(weight) -> nn.Linear:
    weight = torch.tensor(weight)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = weight
    return layer


def test_a_mask_gives_exact_positive_zeros_and_keeps_the_rest_to_the_bit():
    mask = Mask(torch.tensor([True, False, False, True]))
    out = mask(torch.tensor([0.1, -2.0, float("inf"), -0.3]))
    assert torch.equal(out, torch.tensor([0.1, 0.0, 0.0, -0.3]))
    assert not out[1:3].signbit().any()


def test_pruned_weights_get_no_gradient():
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    Mask(torch.tensor([True, False]))(weight).sum().backward()
    assert weight.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_mask_keeps_the_dtype(dtype):
    assert Mask(torch.tensor([True, False]))(torch.ones(2, dtype=dtype)).dtype == dtype


def test_a_mask_is_a_copy_of_what_it_was_made_from():
    given = torch.tensor([True, False])
    mask = Mask(given)
    given[0] = False
    assert mask.mask.tolist() == [True, False]


def test_a_mask_says_what_it_keeps():
    assert repr(Mask(torch.tensor([True, False, True]))) == "Mask(keeps 2 of 3)"


@pytest.mark.parametrize(("given", "kind"), [(torch.ones(2), "torch.float32"), ([True], "list")])
def test_a_mask_must_be_bool(given, kind):
    sentence = f"mask must be a bool tensor, got {kind}. Try mask.bool()."
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        Mask(given)


def test_setting_a_mask_twice_replaces_it_and_keeps_the_original():
    layer = linear([[1.0, 2.0]])
    parameter = layer.weight
    set_mask_(layer, "weight", torch.tensor([[False, True]]))
    set_mask_(layer, "weight", torch.tensor([[True, False]]))
    assert layer.weight.tolist() == [[1.0, 0.0]]
    assert len(layer.parametrizations["weight"]) == 1
    assert original_of(layer, "weight") is parameter


def test_a_new_mask_does_not_disturb_a_backward_pass_under_way():
    layer = linear([[1.0, 2.0]])
    set_mask_(layer, "weight", torch.tensor([[False, True]]))
    loss = layer.weight.sum()
    set_mask_(layer, "weight", torch.tensor([[True, False]]))
    loss.backward()
    assert original_of(layer, "weight").grad.tolist() == [[0.0, 1.0]]


def test_a_value_assigned_to_a_masked_weight_becomes_the_original():
    layer = linear([[1.0, 2.0]])
    set_mask_(layer, "weight", torch.tensor([[False, True]]))
    layer.weight = torch.tensor([[5.0, 6.0]])
    assert layer.weight.tolist() == [[0.0, 6.0]]
    assert original_of(layer, "weight").tolist() == [[5.0, 6.0]]


def test_folding_keeps_the_parameter_object_and_gives_the_class_back():
    layer = linear([[1.0, 2.0]])
    parameter = layer.weight
    set_mask_(layer, "weight", torch.tensor([[False, True]]))
    fold_mask_(layer, "weight")
    assert layer.weight is parameter
    assert layer.weight.tolist() == [[0.0, 2.0]]
    assert type(layer) is nn.Linear
    assert mask_of(layer, "weight") is None


def test_folding_a_copy_leaves_the_original_masked():
    layer = linear([[1.0, 2.0]])
    set_mask_(layer, "weight", torch.tensor([[False, True]]))
    fold_mask_(copy.deepcopy(layer), "weight")
    assert layer.weight.tolist() == [[0.0, 2.0]]
    assert original_of(layer, "weight").tolist() == [[1.0, 2.0]]


def test_a_second_mask_on_a_copy_leaves_the_original_alone():
    layer = linear([[1.0, 2.0]])
    set_mask_(layer, "weight", torch.tensor([[False, True]]))
    twin = copy.deepcopy(layer)
    set_mask_(twin, "bias", torch.tensor([False]))
    assert twin.bias.item() == 0.0
    assert layer.bias.item() != 0.0
    assert copy.deepcopy(twin).bias.item() == 0.0


def test_a_mask_under_another_parametrization_is_no_first_mask():
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(2, 2))
    assert mask_of(layer, "weight") is None
    assert mask_of(layer, "bias") is None

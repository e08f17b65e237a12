from __future__ import annotations

import re
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lwlab import packing, prune
from lwlab.models import LeNet300, ResNet8
from lwlab.packing.halving import halve_


def with_bias(*values):
    layer = nn.Linear(2, len(values))
    with torch.no_grad():
        layer.bias.copy_(torch.tensor(values))
    return layer


def states_equal(model, other):
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_values_go_to_the_nearest_of_half_precision_ties_to_even():
    model = with_bias(0.1, 2049.0, 2051.0, 65504.0, 1e-9, -0.0)
    weight = model.weight.detach().clone()
    assert halve_(model) == ("bias",)
    assert model.bias.tolist() == [0.0999755859375, 2048.0, 2052.0, 65504.0, 0.0, 0.0]
    assert torch.signbit(model.bias[-1])
    assert model.bias.dtype == torch.float32
    assert torch.equal(model.weight, weight)


@settings(deadline=None)
@given(st.lists(st.floats(-65504, 65504, width=32), min_size=1, max_size=20))
def test_twice_is_once_and_equals_numpy(values):
    model = with_bias(*values)
    expected = model.bias.detach().numpy().astype("float16").astype("float32")
    halve_(model)
    once = model.bias.detach().clone()
    halve_(model)
    assert torch.equal(model.bias, once)
    assert once.tolist() == expected.tolist()


def test_each_group_names_its_tensors_in_the_models_order():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LayerNorm(2), nn.Linear(2, 2))
    assert halve_(deepcopy(model), tensors="biases") == ("0.bias", "3.bias")
    assert halve_(deepcopy(model), tensors="batchnorm") == (
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
    )
    every = tuple(name for name in packing_names(model) if name != "1.num_batches_tracked")
    assert halve_(deepcopy(model), tensors="all") == every
    assert halve_(deepcopy(model), tensors=["3.weight", "1.bias"]) == ("1.bias", "3.weight")
    assert halve_(model, tensors=[]) == halve_(nn.ReLU()) == ()


def packing_names(model):
    return [row.name for row in packing.breakdown(packing.to_bytes(model)).tensors]


def test_weights_behind_a_mask_are_left_alone():
    model = LeNet300()
    prune.mask_model_(model, sparsity=0.5)
    before = deepcopy(model.state_dict())
    assert halve_(model, tensors="all") == ("fc1.bias", "fc2.bias", "fc3.bias")
    for name, tensor in model.state_dict().items():
        assert name.endswith("bias") or torch.equal(tensor, before[name])


def test_a_packed_file_holds_half_of_the_bytes_and_comes_back_to_the_bit():
    model = ResNet8()
    whole = len(packing.to_bytes(model))
    halve_(model, tensors="all")
    data = packing.to_bytes(model)
    assert len(data) < 0.52 * whole
    other = ResNet8(seed=1)
    packing.from_bytes_(other, data)
    assert states_equal(model, other)


def test_a_layer_under_two_names_is_rounded_once():
    layer = with_bias(0.1)
    model = nn.ModuleDict({"a": layer, "b": layer})
    assert halve_(model) == ("a.bias", "b.bias")
    assert layer.bias.item() == 0.0999755859375


@pytest.mark.parametrize(
    ("value", "text"), [(65520.0, "65520"), (float("inf"), "inf"), (float("nan"), "nan")]
)
def test_what_is_too_large_is_refused_and_nothing_is_changed(value, text):
    model = nn.Sequential(with_bias(0.1, 0.2), with_bias(0.3, value))
    sentence = (
        f"1.bias must have elements of at most 65504 to be halved, got {text}. "
        f"Leave it out of tensors."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        halve_(model)
    assert model[0].bias.tolist() == torch.tensor([0.1, 0.2]).tolist()


def test_a_variance_that_would_become_zero_is_refused():
    model = nn.BatchNorm1d(2)
    model.running_var.copy_(torch.tensor([0.0, 1e-9]))
    sentence = (
        "running_var must have variances that stay above 0 in half precision, got 1e-09. "
        "Fold the BatchNorm first, or leave it out of tensors."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        halve_(model, tensors="batchnorm")
    model.running_var[1] = 0.0  # 0 stays 0
    assert "running_var" in halve_(model, tensors="batchnorm")


@pytest.mark.parametrize(
    ("tensors", "kind", "got"),
    [("bias", ValueError, "'bias'. Did you mean 'biases'?"), (7, TypeError, "7.")],
)
def test_what_is_neither_a_group_nor_names_is_refused(tensors, kind, got):
    allowed = "tensors must be 'biases', 'batchnorm' or 'all' or a list of names"
    with pytest.raises(kind, match=f"^{re.escape(f'{allowed}, got {got}')}$"):
        halve_(nn.Linear(2, 2), tensors=tensors)


def test_a_name_that_the_model_does_not_have_is_refused():
    sentence = (
        "tensors must name float32 tensors of the model that are not parametrized, "
        "got 'bia'. Did you mean 'bias'?"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        halve_(nn.Linear(2, 2), tensors=["bia"])


def test_a_parametrized_weight_and_a_whole_number_are_refused_by_name():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    prune.mask_model_(model, sparsity=0.5)
    for name in ("0.weight", "1.num_batches_tracked"):
        with pytest.raises(ValueError, match=rf"not parametrized, got '{re.escape(name)}'"):
            halve_(model, tensors=[name])


def test_what_is_no_module_is_refused():
    sentence = "model must be a torch.nn.Module, got int."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        halve_(7)

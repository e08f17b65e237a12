"""Which tensors can be masked, and the sentence where one cannot."""

import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from lwlab.models import ResNet8, SimpleCNN
from lwlab.prune import mask_model_
from lwlab.prune.parametrization import set_mask_
from lwlab.prune.targets import all_targets, check_targets, select_targets


def refused(model: nn.Module, sentence: str, layers=None) -> None:
    """Assert that masking is refused by this whole sentence and that nothing was changed."""
    before = list(model.state_dict())
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        mask_model_(model, sparsity=0.5, layers=layers)
    assert list(model.state_dict()) == before


def test_the_default_is_every_convolution_and_linear_layer_without_biases_and_normalization():
    names = list(select_targets(ResNet8()))
    assert len(names) == 10
    assert not [name for name in names if "bn" in name or "bias" in name]


def test_all_targets_hold_normalization_and_biases_by_name_also_masked_ones():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Embedding(4, 2))
    set_mask_(model[0], "weight", torch.ones(3, 2, dtype=torch.bool))
    assert list(all_targets(model)) == ["0", "0.bias", "1", "1.bias", "3"]


def test_layers_and_biases_choose_in_the_order_of_the_model():
    chosen = select_targets(SimpleCNN(), ["fc1", "conv1"], biases=True)
    assert list(chosen) == ["conv1", "conv1.bias", "fc1", "fc1.bias"]


def test_a_model_that_is_itself_a_layer_goes_by_the_name_model():
    model = nn.Linear(2, 1)
    assert list(select_targets(model, biases=True)) == ["model", "model.bias"]
    check_targets(model, select_targets(model, biases=True))


def test_a_module_used_twice_is_one_target():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, layer)
    check_targets(model, select_targets(model))
    assert list(select_targets(model)) == ["0"]


def test_a_model_without_layers_to_prune_is_refused():
    refused(
        nn.Sequential(nn.ReLU()),
        "model must have a convolution or linear layer to prune, got Sequential without one.",
    )


def test_unknown_layers_none_and_a_text_are_refused():
    refused(
        SimpleCNN(),
        "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'conv3'. "
        "Did you mean 'conv2'?",
        layers=["conv1", "conv3"],
    )
    refused(
        SimpleCNN(),
        "layers must name at least one layer, got none. Leave it out for all.",
        layers=[],
    )
    with pytest.raises(TypeError, match=r"^layers must be a list of names, got 'fc1'. Try \['fc1'"):
        mask_model_(SimpleCNN(), sparsity=0.5, layers="fc1")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_layer(value):
    model = SimpleCNN()
    model.fc2.weight.data[1, 2] = value
    refused(
        model,
        "weight of layer 'fc2' must be finite, got 1 NaN or infinite of 1280 values "
        "(the first at index (1, 2)).",
    )


def test_a_lazy_layer_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))
    refused(
        model,
        "weight of layer '1' must have values before it can be masked, got an uninitialized "
        "LazyLinear. Run the model once on a batch.",
    )


def test_a_tied_weight_is_refused_and_can_be_left_out():
    model = nn.ModuleDict(
        {"words": nn.Embedding(5, 3), "body": nn.Linear(3, 3), "head": nn.Linear(3, 5)}
    )
    model["head"].weight = model["words"].weight
    refused(
        model,
        "weight of layer 'head' must be its own to be masked, got one shared with "
        "'words.weight'. Leave the layer out: name the others in layers=[...].",
    )
    mask_model_(model, sparsity=0.5, layers=["body"])
    assert torch.equal(model["head"].weight, model["words"].weight)


def test_a_tie_to_a_weight_that_is_masked_already_is_told_by_its_plain_name():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    set_mask_(model[0], "weight", torch.ones(2, 2, dtype=torch.bool))
    model[1].weight = model[0].parametrizations["weight"].original
    refused(
        model,
        "weight of layer '0' must be its own to be masked, got one shared with '1.weight'. "
        "Leave the layer out: name the others in layers=[...].",
        layers=["0"],
    )
    refused(
        model,
        "weight of layer '1' must be its own to be masked, got one shared with '0.weight'. "
        "Leave the layer out: name the others in layers=[...].",
        layers=["1"],
    )


def test_a_foreign_parametrization_is_refused():
    refused(
        nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(2, 2))),
        "weight of layer '0' must be free or masked, got one under _Orthogonal. "
        "Mask first, then add the rest.",
    )


def test_a_weight_that_hooks_compute_is_refused():
    model = nn.Sequential(nn.Linear(2, 2))
    torch_prune.random_unstructured(model[0], "weight", amount=1)
    refused(
        model,
        "weight of layer '0' must be a parameter, got a tensor that is computed from others, "
        "as torch.nn.utils.prune and weight_norm do. Make that permanent first.",
    )


def test_a_weight_of_whole_numbers_is_refused():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
    refused(model, "weight of layer '0' must be floating point, got torch.int8.")

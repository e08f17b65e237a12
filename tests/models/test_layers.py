import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab.models import (
    LeNet300,
    SimpleCNN,
    compressible_layers,
    layer_names,
    plain_state,
    seeded,
)


class Half(nn.Module):
    def forward(self, weight):
        return weight / 2


class Shared(nn.Module):
    """A user's own module: nested, with a normalization and one layer used under two names."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU())
        self.head = nn.Linear(3, 2)
        self.again = self.head


def test_compressible_layers_are_the_convolutions_and_linear_layers_in_order():
    assert layer_names(SimpleCNN()) == ("conv1", "conv2", "fc1", "fc2")


def test_a_users_own_module_is_walked_and_a_shared_layer_comes_once():
    assert layer_names(Shared()) == ("body.0", "head")


def test_a_bare_layer_is_its_own_model():
    assert layer_names(nn.Linear(2, 3)) == ("model",)


def test_parametrized_layers_are_found_and_give_their_effective_weight():
    model = LeNet300()
    original = model.fc2.weight.detach().clone()
    parametrize.register_parametrization(model.fc2, "weight", Half())
    layers = {layer.name: layer for layer in compressible_layers(model)}
    assert tuple(layers) == ("fc1", "fc2", "fc3")
    assert torch.equal(layers["fc2"].weight, original / 2)


def test_plain_state_of_a_float_model_is_its_state_dict_and_shares_memory():
    model = SimpleCNN()
    state = plain_state(model)
    assert list(state) == list(model.state_dict())
    assert state["fc1.weight"].data_ptr() == model.fc1.weight.data_ptr()
    assert not state["fc1.weight"].requires_grad


def test_plain_state_folds_parametrizations_in_under_the_plain_name_and_keeps_the_order():
    model = SimpleCNN()
    names = list(model.state_dict())
    halved = model.conv2.weight.detach() / 2
    parametrize.register_parametrization(model.conv2, "weight", Half())
    state = plain_state(model)
    assert list(state) == names
    assert torch.equal(state["conv2.weight"], halved)
    assert not state["conv2.weight"].requires_grad


def test_plain_state_of_a_parametrized_bare_layer():
    layer = nn.Linear(2, 3)
    parametrize.register_parametrization(layer, "weight", Half())
    assert list(plain_state(layer)) == ["weight", "bias"]


def test_a_shared_parametrized_module_keeps_both_names_and_one_tensor():
    model = Shared()
    names = set(model.state_dict())
    parametrize.register_parametrization(model.head, "weight", Half())
    state = plain_state(model)
    assert set(state) == names
    assert state["head.weight"].data_ptr() == state["again.weight"].data_ptr()


def test_removing_a_parametrization_does_not_reorder_the_state():
    model = SimpleCNN()
    names = list(plain_state(model))
    parametrize.register_parametrization(model.conv2, "weight", Half())
    parametrize.remove_parametrizations(model.conv2, "weight")
    assert list(model.conv2.state_dict()) == ["bias", "weight"]  # torch's own order now
    assert list(plain_state(model)) == names


def test_plain_state_keeps_the_buffers_of_a_normalization():
    names = set(plain_state(Shared()))
    assert {"body.1.running_mean", "body.1.num_batches_tracked"} <= names


def test_a_class_in_place_of_a_module_is_named():
    with pytest.raises(
        TypeError,
        match=r"^model must be a torch.nn.Module, got the class SimpleCNN. "
        r"Did you mean SimpleCNN\(\)\?$",
    ):
        compressible_layers(SimpleCNN)


def test_seeded_repeats_inside_and_leaves_the_callers_stream_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with seeded(1):
        first = torch.rand(2)
    with seeded(1):
        again = torch.rand(2)
    assert torch.equal(first, again)
    assert torch.equal(torch.rand(3), expected)

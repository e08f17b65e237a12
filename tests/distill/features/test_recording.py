import copy
import re

import pytest
import torch
from torch import nn

from lwlab import measure
from lwlab.distill.features.recording import check_layer, features_of, recorded


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def pictures():
    return torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_outputs_are_recorded_by_name_as_a_part_of_the_graph(network, pictures):
    model = network()
    with recorded(model, ["conv1", "fc1"]) as found:
        model(pictures)
        assert list(found) == ["conv1", "fc1"]
        assert torch.equal(found["conv1"], model.conv1(pictures))
        found["fc1"].sum().backward()
    assert model.conv1.weight.grad is not None
    assert found == {}
    assert hooks(model) == 0


def test_scoring_in_between_records_nothing(network, small):
    model = network()
    with recorded(model, ["conv1"]) as found:
        measure.accuracy(model, small.validation)
        assert found == {}


def test_a_deep_copy_writes_into_the_same_dictionary(network, pictures):
    model = network()
    with recorded(model, ["conv1"]) as found:
        twin = copy.deepcopy(model)
        with torch.no_grad():
            twin.conv1.weight.zero_()
            twin.conv1.bias.fill_(3.0)
        twin(pictures)
        assert (found["conv1"] == 3).all()


def test_what_follows_in_place_does_not_change_what_was_recorded():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    with recorded(model, ["0"]) as found:
        inputs = torch.tensor([[1.0, -2.0]])
        model(inputs)
        assert torch.equal(found["0"], model[0](inputs))
        assert (found["0"] < 0).any()


def test_hooks_are_gone_after_an_error(network):
    model = network()
    with pytest.raises(RuntimeError, match="stop"), recorded(model, ["conv1"]):
        raise RuntimeError("stop")
    assert hooks(model) == 0


def test_features_of_any_submodule_in_evaluation_mode(network, pictures):
    model = network(moody=True)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = features_of(model, pictures, ["1", "3"])
    with measure.evaluating(model):
        wanted = model[1](model[0](pictures))
    assert torch.allclose(found["1"], wanted)
    assert found["3"].shape == (5, 64)
    assert not any(features.requires_grad or features.is_inference() for features in found.values())
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert hooks(model) == 0


def test_a_missing_layer_is_told_with_the_nearest_name(network):
    sentence = (
        "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'conv3'. Did you mean 'conv2'?"
    )
    with says(ValueError, sentence), recorded(network(), ["conv3"]):
        pass
    with says(ValueError, sentence.replace("layers", "layer of the student")):
        check_layer("layer of the student", "conv3", network())


def test_a_layer_that_is_not_called_or_returns_no_tensor_is_told(pictures):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(2, 2)
            self.pair = Pair()

        def forward(self, x):
            return self.pair(x)[0]

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with says(
        ValueError,
        "layer 'unused' must be called when the model runs, got no call of it. Name another one.",
    ):
        features_of(Odd(), pictures, ["unused"])
    sentence = (
        "layer 'pair' must return a tensor to be learned from, got tuple. Name a layer inside it."
    )
    model = Odd()
    with recorded(model, ["pair"]), says(TypeError, sentence):
        model(pictures)

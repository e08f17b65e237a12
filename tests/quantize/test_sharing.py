"""Shared weights on a model: values, gradients summed per cluster, masks, training."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab import data
from lwlab.measure import accuracy
from lwlab.models import LeNet300, seeded
from lwlab.quantize.codebook import find_codebook
from lwlab.quantize.preparing import current_bits, prepare_
from lwlab.quantize.sharing import current_codebooks, share_weights_, unshare_weights_
from lwlab.train import fit

NAMES = ("fc1", "fc2", "fc3")


class Keep(nn.Module):
    """A mask, as pruning puts one on."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0)

    def right_inverse(self, weight):
        return weight


def model(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def test_each_layer_gets_a_codebook_of_its_own():
    net, plain = model(), model()
    share_weights_(net, num_clusters={"0": 4, "2": 2}, initialization="optimal")
    for name, clusters in (("0", 4), ("2", 2)):
        expected = find_codebook(plain.get_submodule(name).weight, clusters)
        assert torch.equal(net.get_submodule(name).weight, expected.dequantize())
        assert torch.equal(current_codebooks(net)[name].codes, expected.codes)
    assert torch.equal(net[0].bias, plain[0].bias)


def test_the_gradient_of_a_centroid_is_the_sum_over_its_weights():
    net = model()
    [sharing] = share_weights_(net, num_clusters=3, layers=["0"]).values()
    gradient = torch.randn(8, 6)
    net[0].weight.backward(gradient)
    for code in range(3):
        expected = gradient[sharing.codes == code].sum()
        torch.testing.assert_close(sharing.centroids.grad[code], expected)
    assert net[0].parametrizations.weight.original.grad is None


def test_on_a_mask_zeros_stay_zeros_whatever_the_optimizer_does():
    net = model()
    mask = torch.rand(8, 6, generator=torch.Generator().manual_seed(0)) > 0.6
    parametrize.register_parametrization(net[0], "weight", Keep(mask))
    share_weights_(net, num_clusters=4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(10, 6)).square().sum().backward()
        optimizer.step()
    assert torch.equal(net[0].weight != 0, mask)
    assert current_codebooks(net)["0"].dequantize().equal(net[0].weight)


def test_sharing_again_starts_from_the_float_weights_and_taking_it_off_brings_them_back():
    net, direct = model(), model()
    share_weights_(net, num_clusters=2)
    share_weights_(net, num_clusters=8)
    share_weights_(direct, num_clusters=8)
    assert torch.equal(net[0].weight, direct[0].weight)
    assert len(net[0].parametrizations.weight) == 1
    unshare_weights_(net)
    assert torch.equal(net[0].weight, model()[0].weight)
    assert (type(net[0]), current_codebooks(net)) == (nn.Linear, {})


def test_copies_are_independent_and_a_state_dict_comes_back():
    net = model()
    share_weights_(net, num_clusters=4)
    twin = copy.deepcopy(net)
    unshare_weights_(twin)
    assert len(net[0].weight.unique()) == 4
    other = model(1)
    share_weights_(other, num_clusters=4)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other[0].weight, net[0].weight)


def test_centroids_can_be_quantized_on_top():
    net = model()
    share_weights_(net, num_clusters=16)
    prepare_(net, num_bits=3)
    assert current_bits(net) == {"0": 3, "2": 3}
    assert all(len(row.unique()) <= 8 for row in net[0].weight)


@pytest.mark.parametrize(("clusters", "initialization"), [(2, "linear"), (3, "random")])
def test_training_moves_the_centroids_alone_and_brings_accuracy_back(clusters, initialization):
    digits = data.load("digits")
    with seeded(0):
        net = LeNet300(digits.input_shape, digits.num_classes)
    for _ in fit(net, digits, epochs=3, seed=0):
        pass
    before = accuracy(net, digits.validation).value
    weights = {name: net.get_submodule(name).weight.detach().clone() for name in NAMES}
    share_weights_(net, num_clusters=clusters, initialization=initialization)
    shared, first = accuracy(net, digits.validation).value, current_codebooks(net)
    for _ in fit(net, digits, epochs=3, seed=0, learning_rate=3e-3):
        pass
    tuned = accuracy(net, digits.validation).value
    assert before - shared > 0.03  # sharing costs something,
    assert tuned - shared > 0.5 * (before - shared)  # and most of it comes back
    for name, codebook in current_codebooks(net).items():
        assert torch.equal(codebook.codes, first[name].codes)
        assert bool((codebook.centroids != first[name].centroids).all())
        assert torch.equal(codebook.dequantize(), net.get_submodule(name).weight)
        assert len(net.get_submodule(name).weight.unique()) == clusters
    unshare_weights_(net)
    for name in NAMES:  # the float weights behind were not touched
        assert torch.equal(net.get_submodule(name).weight, weights[name])


def test_the_model_says_how_many_values_it_has():
    net = model()
    share_weights_(net, num_clusters=4)
    assert "SharedWeights(4 values for 48 weights)" in repr(net)


def prepared():
    net = model()
    prepare_(net, num_bits=4)
    return net


@pytest.mark.parametrize(
    ("build", "arguments", "error", "sentence"),
    [
        (
            model,
            {"num_clusters": 1},
            ValueError,
            "num_clusters must be a whole number from 2 to 256, got 1.",
        ),
        (
            model,
            {"num_clusters": {"0": 300}},
            ValueError,
            "num_clusters of layer '0' must be a whole number from 2 to 256, got 300.",
        ),
        (
            model,
            {"num_clusters": 4, "layers": ["1"]},
            ValueError,
            "layers must be one of '0' or '2', got '1'.",
        ),
        (
            model,
            {"num_clusters": {"0": 4}, "layers": ["0"]},
            ValueError,
            "layers must be left out with a dict as num_clusters, which names them.",
        ),
        (
            model,
            {"num_clusters": 4, "initialization": "best"},
            ValueError,
            "initialization must be one of 'linear', 'density', 'random' or 'optimal', got 'best'.",
        ),
        (
            prepared,
            {"num_clusters": 4},
            ValueError,
            (
                "weight of layer '0' must be float to be shared, got a FakeQuantize on it. "
                "Try unprepare_(model) first."
            ),
        ),
    ],
)
def test_bad_input_gets_one_sentence_and_the_model_stays(build, arguments, error, sentence):
    net = build()
    keys = list(net.state_dict())
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        share_weights_(net, **arguments)
    assert list(net.state_dict()) == keys


@pytest.mark.parametrize(
    "function", [current_codebooks, unshare_weights_, lambda m: share_weights_(m, num_clusters=4)]
)
def test_a_class_is_no_model(function):
    sentence = "model must be a torch.nn.Module, got the class ReLU. Did you mean ReLU()?"
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        function(nn.ReLU)

"""Preparing a model: which layers, mixed widths, masks, training, and everything refused."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from lwlab import data
from lwlab.measure import accuracy
from lwlab.models import LeNet300, seeded
from lwlab.models.layers import plain_state
from lwlab.quantize.granularity import PerChannel, PerGroup, PerTensor
from lwlab.quantize.observers import MeanSquared, MinMax
from lwlab.quantize.preparing import current_bits, prepare_, quantized_weights, unprepare_
from lwlab.quantize.tensor import TERNARY, quantize_tensor
from lwlab.train import fit


def model(seed=0):
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5)
        )


def same_state(one, other):
    first, second = one.state_dict(), other.state_dict()
    same_names = first.keys() == second.keys()  # in any order: torch moves what it parametrizes
    return same_names and all(torch.equal(first[name], second[name]) for name in first)


def test_all_layers_get_the_width_and_their_own_scales():
    net, plain = model(), model()
    fakes = prepare_(net, num_bits=4)
    assert list(fakes) == ["0", "4"]
    assert current_bits(net) == {"0": 4, "4": 4}
    for name in fakes:
        expected = quantize_tensor(plain.get_submodule(name).weight, 4, PerChannel())
        assert torch.equal(net.get_submodule(name).weight, expected.dequantize())
        assert torch.equal(quantized_weights(net)[name].codes, expected.codes)
    assert torch.equal(net[4].bias, plain[4].bias)


def test_mixed_widths_by_a_dict_and_none_leaves_a_layer_in_float():
    net = model()
    prepare_(net, num_bits={"4": TERNARY, "0": None})
    assert current_bits(net) == {"4": TERNARY}
    assert torch.equal(net[0].weight, model()[0].weight)
    prepare_(net, num_bits={"0": 8})  # the other stays as it is
    assert current_bits(net) == {"0": 8, "4": TERNARY}
    prepare_(net, num_bits={"4": None})
    assert current_bits(net) == {"0": 8}
    other = model()
    prepare_(other, num_bits=current_bits(net))
    assert current_bits(other) == {"0": 8}
    prepare_(net, num_bits=None)
    assert same_state(net, model())


def test_a_higher_width_brings_back_what_a_lower_one_lost():
    net, direct = model(), model()
    prepare_(net, num_bits=1)
    prepare_(net, num_bits=8)
    prepare_(direct, num_bits=8)
    assert same_state(net, direct)


def test_granularity_symmetry_range_and_layers_are_used():
    net = model()
    prepare_(net, num_bits=3, granularity=PerGroup(8), layers=["4"])
    assert quantized_weights(net)["4"].scale.shape == (10,)
    rule = MeanSquared(30)
    prepare_(net, num_bits=3, granularity=PerTensor(), range_rule=rule, symmetric=False)
    expected = quantize_tensor(model()[4].weight, 3, symmetric=False, range_rule=MeanSquared(30))
    assert torch.equal(quantized_weights(net)["4"].codes, expected.codes)
    assert rule.num_groups is None


def test_what_is_measured_and_saved_is_the_quantized_weight():
    net = model()
    net.eval()
    prepare_(net, num_bits=2)
    state = plain_state(net)
    assert list(state) == list(model().state_dict())
    for name, quantized in quantized_weights(net).items():
        assert torch.equal(state[f"{name}.weight"], quantized.dequantize())


def test_unpreparing_gives_the_model_back():
    net = model()
    prepare_(net, num_bits={"0": 1, "4": 4})
    unprepare_(net)
    assert same_state(net, model())
    assert current_bits(net) == {}


def test_a_copy_is_prepared_and_changed_alone():
    net = model()
    prepare_(net, num_bits=4)
    twin = copy.deepcopy(net)
    unprepare_(twin)
    assert current_bits(net) == {"0": 4, "4": 4}
    assert net(torch.zeros(2, 1, 4, 4)).shape == (2, 5)


def test_a_single_layer_is_a_model_too():
    net = nn.Linear(3, 2)
    prepare_(net, num_bits=4)
    assert current_bits(net) == {"model": 4}


def test_training_moves_the_originals_and_measuring_changes_nothing():
    digits = data.load("digits")
    with seeded(0):
        net = LeNet300(digits.input_shape, digits.num_classes)
    prepare_(net, num_bits=2)
    untrained = accuracy(net, digits.validation).value
    originals = net.state_dict()["fc1.parametrizations.weight.original"].clone()
    for _ in fit(net, digits, epochs=2, learning_rate=3e-3, seed=0):
        pass
    assert not torch.equal(net.state_dict()["fc1.parametrizations.weight.original"], originals)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert accuracy(net, digits.validation).value > untrained + 0.3
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(q.codes.unique().numel() <= 4 for q in quantized_weights(net).values())


def tied():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    return net


def by_torch():
    net = nn.Sequential(nn.Linear(4, 4))
    torch_prune.l1_unstructured(net[0], "weight", amount=0.5)
    return net


def spoiled():
    net = model()
    net[4].weight.data[0, 1] = float("nan")
    return net


def under_another():
    net = model()
    prepare_(net, num_bits=4)
    parametrize.register_parametrization(net[4], "weight", nn.Identity())
    return net


CASES = [
    (model, {"num_bits": 0}, ValueError, "num_bits must be a whole number from 1 to 8, got 0."),
    (model, {"num_bits": 33}, ValueError, "num_bits must be a whole number from 1 to 8, got 33."),
    (
        model,
        {"num_bits": {"0": 4, "4": 9}},
        ValueError,
        "num_bits of layer '4' must be a whole number from 1 to 8, got 9.",
    ),
    (
        model,
        {"num_bits": {"0": 4, "5": 4}},
        ValueError,
        "layers must be one of '0' or '4', got '5'.",
    ),
    (
        model,
        {"num_bits": {}},
        ValueError,
        "layers must name at least one layer, got none. Leave it out for all.",
    ),
    (
        model,
        {"num_bits": {"0": 4}, "layers": ["0"]},
        ValueError,
        "layers must be left out with a dict as num_bits, which names them.",
    ),
    (
        model,
        {"num_bits": 4, "layers": "0"},
        TypeError,
        "layers must be a list of names, got '0'. Try ['0'].",
    ),
    (
        model,
        {"num_bits": 4, "layers": ["1"]},
        ValueError,
        "layers must be one of '0' or '4', got '1'.",
    ),
    (
        model,
        {"num_bits": 4, "granularity": PerGroup(8)},
        ValueError,
        (
            "granularity does not fit layer '0': size must divide the 9 values of a channel of "
            "shape (4, 1, 3, 3), got 8. Try 9."
        ),
    ),
    (
        model,
        {"num_bits": 4, "granularity": "channel"},
        TypeError,
        "granularity must be PerTensor(), PerChannel(axis) or PerGroup(size), got 'channel'.",
    ),
    (
        model,
        {"num_bits": 4, "range_rule": MinMax},
        TypeError,
        (
            "range_rule must be an observer such as MinMax(), got the class MinMax. "
            "Did you mean MinMax()?"
        ),
    ),
    (
        nn.ReLU,
        {"num_bits": 4},
        ValueError,
        "model must have a convolution or linear layer to quantize, got ReLU without one.",
    ),
    (
        spoiled,
        {"num_bits": 4},
        ValueError,
        (
            "weight of layer '4' must be finite, got 1 NaN or infinite of 80 values "
            "(the first at index (0, 1))."
        ),
    ),
    (
        tied,
        {"num_bits": 4},
        ValueError,
        (
            "weight of layer '0' must be its own to be quantized, got one shared with '1'. "
            "Leave the layer out: name the others in layers=[...]."
        ),
    ),
    (
        by_torch,
        {"num_bits": 4},
        ValueError,
        (
            "weight of layer '0' must be a parameter, got a tensor that is computed from others, "
            "as torch.nn.utils.prune does. Make that permanent first."
        ),
    ),
    (
        lambda: nn.Sequential(nn.LazyLinear(4)),
        {"num_bits": 4},
        ValueError,
        (
            "weight of layer '0' must have values before it can be quantized, got an "
            "uninitialized LazyLinear. Run the model once on a batch."
        ),
    ),
    (
        lambda: nn.Sequential(nn.Linear(2, 2, device="meta")),
        {"num_bits": 4},
        ValueError,
        (
            "weight of layer '0' must have values before it can be quantized, got one on the meta "
            "device. Build the model on the CPU."
        ),
    ),
    (
        under_another,
        {"num_bits": 8},
        ValueError,
        (
            "weight of layer '4' must have its FakeQuantize on top, got Identity above it. "
            "Remove that first."
        ),
    ),
]


@pytest.mark.parametrize(("build", "arguments", "error", "sentence"), CASES)
def test_bad_input_gets_one_sentence_and_the_model_stays(build, arguments, error, sentence):
    net = build()
    keys, types = list(net.state_dict()), [type(m) for m in net.modules()]
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        prepare_(net, **arguments)
    assert list(net.state_dict()) == keys
    assert [type(m) for m in net.modules()] == types


@pytest.mark.parametrize(
    "function", [current_bits, quantized_weights, unprepare_, lambda m: prepare_(m, num_bits=4)]
)
def test_a_class_is_no_model(function):
    sentence = "model must be a torch.nn.Module, got the class ReLU. Did you mean ReLU()?"
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        function(nn.ReLU)

"""Quantized activations of whole models: where the quantizers stand, calibration, training."""

import copy
import dataclasses
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab import data
from lwlab.data import Split
from lwlab.models import LeNet5, LeNet300, ResNet8, SimpleCNN, seeded
from lwlab.models.layers import layer_names
from lwlab.packing import to_bytes
from lwlab.prune.masking import current_masks, mask_model_
from lwlab.quantize.activations.activation import FakeQuantizeActivation
from lwlab.quantize.activations.preparing import (
    activation_bits,
    prepare_activations,
    quantized_activations,
)
from lwlab.quantize.grid import Grid, choose_qparams
from lwlab.quantize.observers import Entropy, MeanSquared, MinMax, MovingAverage, Percentile
from lwlab.quantize.preparing import current_bits, prepare_
from lwlab.train import fit


def images(count=8, shape=(1, 16, 16)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def placed(model):
    """Return what each quantizer takes, by its point."""
    return {
        node.target.rpartition(".")[2]: node.args[0].name
        for node in model.graph.nodes
        if str(node.target).startswith("activations.")
    }


def test_the_quantizers_of_a_simple_cnn_stand_behind_pooling_and_relu():
    net = SimpleCNN((1, 16, 16)).eval()
    prepared = prepare_activations(net, images())
    assert placed(prepared) == {
        "images": "images",
        "conv1": "relu",
        "conv2": "flatten",
        "fc1": "relu_2",
    }
    assert activation_bits(prepared) == dict.fromkeys(("images", "conv1", "conv2", "fc1"), 8)


def test_the_quantizers_of_a_resnet_stand_at_sums_and_norms():
    net = ResNet8((1, 16, 16)).eval()
    prepared = prepare_activations(net, images())
    found = placed(prepared)
    assert {name: found[name] for name in ("images", "conv", "bn", "stack1_conv1")} == {
        "images": "images", "conv": "conv", "bn": "relu", "stack1_conv1": "stack1_conv1"
    }  # fmt: skip
    assert found["stack1_bn2"] == "stack1_bn2"
    assert found["add"] == "relu_2"
    assert found["stack2_shortcut"] == "stack2_shortcut"
    assert found["mean"] == "mean"
    assert "fc" not in found
    assert len(set(found.values())) == len(found)
    with torch.no_grad():
        assert torch.allclose(prepared(images()), net(images()), atol=0.1)


class Steps(nn.Module):
    """Two convolutions of two channels, a linear layer, and steps that a test gives."""

    def __init__(self, steps, features=2):
        super().__init__()
        with seeded(0):
            self.conv1 = nn.Conv2d(1, 2, 3, padding=1)
            self.conv2 = nn.Conv2d(2, 2, 3, padding=1)
            self.fc = nn.Linear(features, 3)
        self.steps = steps

    def forward(self, x):
        return self.steps(self, x)


def points_of(steps, features=2):
    net = Steps(steps, features).eval()
    prepared = prepare_activations(net, images(4, (1, 4, 4)))
    with torch.no_grad():
        assert torch.allclose(prepared(images(4, (1, 4, 4))), net(images(4, (1, 4, 4))), atol=0.1)
    return placed(prepared)


def both(m, x):
    return torch.cat([m.conv1(x).relu(), F.relu6(m.conv1(x))], 1).mean((2, 3))


def forked(m, x, after):
    y = m.conv1(x)
    return m.fc((m.conv2(after(y)) + y).flatten(1))


def viewed(m, x, rows):
    y = m.conv1(x).relu()
    return m.fc(y.view(rows(y), -1))


@pytest.mark.parametrize(
    ("steps", "features", "expected"),
    [
        # Both branches of the first convolution take codes; ReLU keeps these codes on the grid.
        (
            lambda m, x: forked(m, x, torch.relu),
            32,
            {"x": "x", "conv1": "conv1", "conv2": "conv2", "add": "flatten"},
        ),
        # A limit at 6 need not be on the grid of what it limits.
        (
            lambda m, x: forked(m, x, F.relu6),
            32,
            {"x": "x", "conv1": "conv1", "relu6": "relu6", "conv2": "conv2", "add": "flatten"},
        ),
        # The same layer twice gives two tensors; a concatenation is stored again.
        (
            lambda m, x: m.fc(both(m, x)),
            4,
            {"x": "x", "conv1": "relu", "conv1_1": "relu6", "cat": "cat", "mean": "mean"},
        ),
        # A sigmoid has no integer form: codes before it and behind it.
        (
            lambda m, x: m.fc(m.conv2(m.conv1(x).sigmoid()).mean((2, 3))),
            2,
            {"x": "x", "conv1": "conv1", "sigmoid": "sigmoid", "conv2": "conv2", "mean": "mean"},
        ),
        # Two in a row stay in float between each other.
        (
            lambda m, x: m.fc((m.conv1(x).sigmoid() * 2).mean((2, 3))),
            2,
            {"x": "x", "conv1": "conv1", "mul": "mul", "mean": "mean"},
        ),
        # Asking for the size of a tensor does not store it.
        (
            lambda m, x: viewed(m, x, lambda y: y.size(0)),
            32,
            {"x": "x", "conv1": "view"},
        ),
        (
            lambda m, x: viewed(m, x, lambda y: y.shape[0]),
            32,
            {"x": "x", "conv1": "view"},
        ),
        # What comes behind the last layer gets none, whatever it is.
        (
            lambda m, x: F.log_softmax(m.fc(F.avg_pool2d(m.conv1(x), 4).flatten(1)), 1),
            2,
            {"x": "x", "conv1": "conv1", "avg_pool2d": "flatten"},
        ),
        # A sum with a number, and a max-pooling with indices, are no integer operations here.
        (
            lambda m, x: m.fc((m.conv1(x) + 1).mean((2, 3))),
            2,
            {"x": "x", "conv1": "conv1", "add": "add", "mean": "mean"},
        ),
        (
            lambda m, x: m.fc(F.max_pool2d(m.conv1(x), 4, return_indices=True)[0].flatten(1)),
            2,
            {"x": "x", "conv1": "conv1", "getitem": "flatten"},
        ),
        (
            lambda m, x: m.fc((m.conv1(x) - m.conv1(x)).clamp(-1, 1).flatten(1)),
            32,
            {"x": "x", "conv1": "conv1", "conv1_1": "conv1_1", "sub": "flatten"},
        ),
    ],
)  # fmt: skip
def test_each_tensor_that_is_stored_has_one_quantizer(steps, features, expected):
    assert points_of(steps, features) == expected


def vgg():
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.MaxPool2d(2), nn.Dropout(0.3), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(32, 5),
        )  # fmt: skip


@pytest.mark.parametrize("net", [vgg(), LeNet5((1, 16, 16)), LeNet300((1, 16, 16))])
def test_other_networks_keep_their_answers_at_8_bits(net):
    net.eval()
    prepared = prepare_activations(net, images())
    with torch.no_grad():
        assert torch.allclose(prepared(images()), net(images()), atol=0.05)
    assert list(placed(prepared)) == list(quantized_activations(prepared))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(
    "rule", [MinMax(), MovingAverage(), Percentile(90), MeanSquared(10), Entropy(64)]
)
def test_the_range_is_what_the_rule_finds_for_the_activations(rule, symmetric):
    net = SimpleCNN((1, 16, 16)).eval()
    settings = {"num_bits": 4, "symmetric": symmetric, "range_rule": rule}
    prepared = prepare_activations(net, Split(images(), torch.zeros(8).long()), **settings)
    with torch.no_grad():
        stored = F.relu(F.max_pool2d(net.conv1(images()), 2))
    observer, grid = rule.fresh(), Grid(4, symmetric)
    observer.observe(stored.reshape(1, -1))
    scale, zero_point = choose_qparams(*observer.range(grid), grid)
    found = quantized_activations(prepared)["conv1"]
    assert torch.allclose(found.scale, scale[0])
    assert found.scale.shape == found.zero_point.shape == ()
    assert (found.zero_point.dtype, int(found.zero_point)) == (torch.int32, int(zero_point))
    assert (found.quant_min, found.quant_max) == (grid.quant_min, grid.quant_max)
    assert rule.num_groups is None


def test_ranges_are_found_batch_by_batch_and_in_float():
    net = SimpleCNN((1, 16, 16)).eval()
    one = prepare_activations(net, images(), num_bits=2)
    two = prepare_activations(net, images(), num_bits=2, batch_size=3)
    wide = prepare_activations(net, images(), num_bits=8)
    for name, quantizer in quantized_activations(one).items():
        assert torch.allclose(quantizer.scale, quantized_activations(two)[name].scale)
        assert torch.allclose(quantizer.extremes, quantized_activations(wide)[name].extremes)


def test_a_dict_gives_each_point_its_width_and_leaves_others_in_float():
    net = SimpleCNN((1, 16, 16)).eval()
    prepared = prepare_activations(net, images(), num_bits={"fc1": 2, "images": 8})
    assert activation_bits(prepared) == {"images": 8, "fc1": 2}
    again = prepare_activations(net, images(), num_bits=activation_bits(prepared))
    assert activation_bits(again) == activation_bits(prepared)


def test_weights_that_are_masked_and_prepared_stay_so():
    net = SimpleCNN((1, 16, 16)).eval()
    mask_model_(net, sparsity=0.5)
    prepare_(net, num_bits=2)
    before = copy.deepcopy(net.state_dict())
    prepared = prepare_activations(net, images())
    assert current_bits(prepared) == dict.fromkeys(layer_names(net), 2)
    assert current_masks(prepared).keys() == current_masks(net).keys()
    with torch.no_grad():
        seen = F.relu(F.max_pool2d(net.conv1(images()), 2))
    assert float(quantized_activations(prepared)["conv1"].extremes[1]) == float(seen.max())
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert quantized_activations(net) == {}


def test_a_prepared_model_trains_and_a_copy_of_it_stays_behind():
    digits = data.load("digits")
    small = dataclasses.replace(digits, train=digits.train.take(600))
    net = SimpleCNN(small.input_shape, width=8, hidden=32)
    prepare_(net, num_bits=4)
    prepared = prepare_activations(net, small.train, num_bits=4)
    assert prepared.training
    assert all(quantizer.training for quantizer in quantized_activations(prepared).values())
    left = copy.deepcopy(prepared)
    before = copy.deepcopy(left.state_dict())
    records = list(fit(prepared, small, epochs=6, learning_rate=5e-3, batch_size=32))
    assert records[-1].loss < records[0].loss
    assert records[-1].validation_accuracy > 0.7
    scales = quantized_activations(prepared)
    assert {
        n: bool(q.scale != scales[n].scale) for n, q in quantized_activations(left).items()
    } == {
        "images": False,  # these always reach from 0 to 1
        "conv1": True,
        "conv2": True,
        "fc1": True,
    }
    assert all(torch.equal(before[n], t) for n, t in left.state_dict().items())
    left.load_state_dict(prepared.state_dict())
    inputs = small.validation.inputs[:5]
    with torch.no_grad():
        assert torch.equal(left.eval()(inputs), prepared.eval()(inputs))
    assert len(to_bytes(prepared)) > 0


def test_measuring_moves_no_range():
    prepared = prepare_activations(SimpleCNN((1, 16, 16)), images(), num_bits=4)
    before = copy.deepcopy(prepared.state_dict())
    prepared.eval()(100 * images())
    with torch.no_grad():
        prepared.train()(100 * images())
    assert all(torch.equal(before[n], t) for n, t in prepared.state_dict().items())
    prepared.train()(100 * images())
    assert not torch.equal(prepared.activations["images"].scale, before["activations.images.scale"])


@pytest.mark.parametrize(
    ("calibration", "settings", "kind", "sentence"),
    [
        (
            torch.zeros(0, 1, 16, 16), {}, ValueError,
            ("calibration must hold at least one input, got shape (0, 1, 16, 16). Try "
            "dataset.train.take(500)."),
        ),
        (
            torch.full((2, 1, 16, 16), torch.nan), {}, ValueError,
            ("calibration must be finite, got 512 NaN or infinite of 512 values (the first at "
            "index (0, 0, 0, 0))."),
        ),
        (
            "train", {}, TypeError,
            ("calibration must be a Split or a tensor of floating-point inputs, got str. Try "
            "dataset.train.take(500)."),
        ),
        (
            torch.zeros(2, 1, 16, 16).long(), {}, TypeError,
            ("calibration must be a Split or a tensor of floating-point inputs, got torch.int64. "
            "Try dataset.train.take(500)."),
        ),
        (
            images(2, (3, 16, 16)), {}, ValueError,
            "model must accept inputs of shape (2, 3, 16, 16) and torch.float32, got RuntimeError",
        ),
        (
            images(2), {"num_bits": 0}, ValueError,
            "num_bits must be a whole number from 1 to 8, got 0.",
        ),
        (
            images(2), {"num_bits": {"conv9": 4}}, ValueError,
            ("num_bits must be one of 'images', 'conv1', 'conv2' or 'fc1', got 'conv9'. Did you "
            "mean 'conv2'?"),
        ),
        (
            images(2), {"num_bits": {"conv1": 33}}, ValueError,
            "num_bits must be a whole number from 1 to 8, got 33.",
        ),
        (
            images(2), {"num_bits": {}}, ValueError,
            "num_bits must name at least one point, got none. Try num_bits=8.",
        ),
        (
            images(2), {"range_rule": MinMax}, TypeError,
            ("range_rule must be an observer such as MinMax(), got the class MinMax. Did you mean "
            "MinMax()?"),
        ),
        (
            images(2), {"batch_size": 0}, ValueError,
            "batch_size must be a whole number of at least 1, got 0.",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_sentence(calibration, settings, kind, sentence):
    net = SimpleCNN((1, 16, 16))
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(kind, match=re.escape(sentence)):
        prepare_activations(net, calibration, **settings)
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())


def test_a_model_is_prepared_once():
    prepared = prepare_activations(SimpleCNN((1, 16, 16)), images())
    sentence = (
        "model must have its activations in float, got one whose activations are quantized "
        "already. Prepare the model that it was made from."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        prepare_activations(prepared, images())


def test_a_model_without_a_point_or_with_the_name_taken_is_refused():
    sentence = (
        "model must have a convolution, linear layer, sum, join or average to quantize the inputs "
        "of, got one without."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        prepare_activations(nn.Sequential(nn.Tanh()), images())
    net = Steps(lambda m, x: m.fc(m.activations(x).flatten(1)), 16)
    net.activations = nn.ReLU()
    sentence = (
        "model must leave the name 'activations' to the quantizers, got one that has such an "
        "attribute. Rename it."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        prepare_activations(net, images(2, (1, 4, 4)))


def test_an_activation_that_is_not_finite_is_named():
    net = SimpleCNN((1, 16, 16))
    with torch.no_grad():
        net.conv1.bias[0] = torch.inf
    with pytest.raises(ValueError, match=re.escape("activation 'conv1' must be finite, got")):
        prepare_activations(net, images())


def test_the_printed_model_shows_its_grids():
    prepared = prepare_activations(SimpleCNN((1, 16, 16)), torch.full((1, 1, 16, 16), 2.55))
    assert "(images): FakeQuantizeActivation(8 bits, scale 0.01, zero 0)" in str(prepared)
    assert isinstance(prepared.activations["images"], FakeQuantizeActivation)

"""Bias correction: by hand, the means afterwards, what is skipped and what is refused."""

import copy
import re

import pytest
import torch
from torch import nn

from lwlab.data import Split
from lwlab.models import ResNet8, SimpleCNN
from lwlab.prune.masking import mask_model_
from lwlab.quantize.activations.preparing import prepare_activations
from lwlab.quantize.bias_correction import correct_biases_
from lwlab.quantize.folding import fold_batchnorm
from lwlab.quantize.preparing import prepare_


def images(count=40, shape=(1, 16, 16)):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def test_one_layer_by_hand():
    net = nn.Sequential(nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.4]]))
        net[0].bias.fill_(0.5)
    quantized = copy.deepcopy(net)
    prepare_(quantized, num_bits=2)  # one step is 1: the weights become 1 and 0
    correction = correct_biases_(quantized, net, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    # 0.4 times the mean of the second input, 3, is missing.
    assert correction.shifts["0"].tolist() == pytest.approx([1.2])
    assert quantized[0].bias.tolist() == pytest.approx([1.7])
    assert correction.skipped == ()
    assert net[0].bias.tolist() == [0.5]


@pytest.mark.parametrize("activations", [False, True])
def test_afterwards_each_channel_has_the_mean_it_has_in_float(activations):
    net = fold_batchnorm(ResNet8((1, 16, 16)).eval())
    quantized = copy.deepcopy(net)
    prepare_(quantized, num_bits=3)
    if activations:
        quantized = prepare_activations(quantized, images(), num_bits=4)
    quantized.train()
    buffers = copy.deepcopy(dict(quantized.named_buffers()))
    with torch.no_grad():
        quantized.eval()
        before = (quantized(images()) - net(images())).mean(dim=0).abs().max()
        quantized.train()
    correction = correct_biases_(quantized, net, Split(images(), torch.zeros(40).long()))
    assert list(correction.shifts)[:3] == ["conv", "stack1.conv1", "stack1.conv2"]
    assert quantized.training
    assert all(torch.equal(buffers[n], b) for n, b in quantized.named_buffers())
    with torch.no_grad():
        after = (quantized.eval()(images()) - net(images())).mean(dim=0).abs().max()
    assert float(after) < 1e-6 < float(before)


def test_batches_make_no_difference_and_each_position_counts():
    net = SimpleCNN((1, 16, 16)).eval()
    one, two = copy.deepcopy(net), copy.deepcopy(net)
    shifts = []
    for quantized, batch_size in ((one, 40), (two, 7)):
        prepare_(quantized, num_bits=3)
        shifts.append(correct_biases_(quantized, net, images(), batch_size=batch_size).shifts)
    assert torch.allclose(shifts[0]["conv1"], shifts[1]["conv1"], atol=1e-6)
    with torch.no_grad():
        first = copy.deepcopy(net)
        prepare_(first, num_bits=3)
        expected = (net.conv1(images()) - first.conv1(images())).mean(dim=(0, 2, 3))
    assert torch.allclose(shifts[0]["conv1"], expected, atol=1e-6)


def test_float_layers_and_layers_without_a_bias_of_their_own_are_left():
    net = nn.Sequential(
        nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 2), nn.Linear(2, 2)
    )
    mask_model_(net, sparsity=0.2, layers=["3"], biases=True)
    quantized = copy.deepcopy(net)
    prepare_(quantized, num_bits={"0": 3, "3": 3, "4": 3})
    before = copy.deepcopy(quantized.state_dict())
    correction = correct_biases_(quantized, net, torch.rand(5, 4))
    assert list(correction.shifts) == ["4"]
    assert correction.skipped == ("0", "3")
    changed = [n for n, t in quantized.state_dict().items() if not torch.equal(before[n], t)]
    assert changed == ["4.bias"]


class Unused(nn.Module):
    """A layer that forward does not use."""

    def __init__(self):
        super().__init__()
        self.spare, self.fc = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)


def refusals():
    net, two = nn.Sequential(nn.Linear(2, 2)), torch.ones(3, 2)
    quantized = copy.deepcopy(net)
    prepare_(quantized, num_bits=3)
    unused = Unused()
    prepare_(unused, num_bits=3)
    broken = copy.deepcopy(net)
    broken[0].bias.data[0] = torch.inf
    return [
        (
            net, net, two,
            ("model must have layers with quantized weights, got none. Try prepare_(model, "
             "num_bits=8) first."),
        ),
        (
            quantized, quantized, two,
            ("float_model must have its weights in float, got quantized ones. Keep a copy from "
             "before prepare_."),
        ),
        (
            quantized, nn.Sequential(nn.Linear(2, 3)), two,
            ("float_model must have the layers of quantized, got one without a layer '0' of the "
             "same shape. Take the model that was prepared."),
        ),
        (
            unused, Unused(), two,
            ("layer 'spare' must be called when the model runs, got no call of it. Leave it in "
             "float: prepare_(model, num_bits={'spare': None})."),
        ),
        (
            quantized, broken, two,
            ("mean output of layer '0' must be finite, got 1 NaN or infinite of 2 values (the "
             "first at index (0,))."),
        ),
        (
            quantized, net, two[:0],
            ("calibration must hold at least one input, got shape (0, 2). Try "
             "dataset.train.take(500)."),
        ),
        (
            quantized, net, two * torch.nan,
            ("calibration must be finite, got 6 NaN or infinite of 6 values (the first at index "
             "(0, 0))."),
        ),
        (
            quantized, net, torch.ones(3, 5),
            "model must accept inputs of shape (3, 5) and torch.float32, got RuntimeError",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("quantized", "float_model", "calibration", "sentence"), refusals())
def test_bad_input_is_told_and_changes_nothing(quantized, float_model, calibration, sentence):
    before = copy.deepcopy(quantized.state_dict())
    with pytest.raises(ValueError, match=re.escape(sentence)):
        correct_biases_(quantized, float_model, calibration)
    assert all(torch.equal(before[n], t) for n, t in quantized.state_dict().items())
    assert not any(m._forward_hooks for m in quantized.modules())

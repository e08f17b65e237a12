"""Cross-layer equalization: by hand, the same function, even ranges, what is left alone."""

import copy
import itertools
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.models import LeNet5, LeNet300, SimpleCNN, seeded
from lwlab.prune.masking import current_masks, mask_model_
from lwlab.quantize.equalizing import equalize
from lwlab.quantize.granularity import PerTensor
from lwlab.quantize.preparing import prepare_


def images(count=8, shape=(1, 16, 16)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def ranges(layer):
    return layer.weight.detach().flatten(1).abs().amax(dim=1)


def same(one, two, inputs):
    with torch.no_grad():
        expected = two(inputs)
        return float((one(inputs) - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def uneven(net):
    """Spread the ranges of the channels, but of the logits, over four orders of magnitude."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for layer in [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)][:-1]:
            powers = torch.rand(len(layer.weight), generator=generator) * 4 - 2
            layer.weight *= (10**powers).reshape(-1, *[1] * (layer.weight.dim() - 1))
    return net


def test_two_linear_layers_by_hand():
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[8.0], [1.0]]))
        net[0].bias.copy_(torch.tensor([4.0, 1.0]))
        net[2].weight.copy_(torch.tensor([[2.0, 4.0]]))
    even = equalize(net)
    # s = sqrt(8 / 2), sqrt(1 / 4): both ranges become sqrt(8 * 2) and sqrt(1 * 4)
    assert even.get_submodule("0").weight.flatten().tolist() == [4, 2]
    assert even.get_submodule("0").bias.tolist() == [2, 2]
    assert even.get_submodule("2").weight.flatten().tolist() == [4, 2]
    assert net[0].weight.flatten().tolist() == [8, 1]


@pytest.mark.parametrize(
    "net",
    [
        SimpleCNN((1, 16, 16)),
        LeNet5((1, 16, 16)),
        LeNet300((1, 16, 16)),
        nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(),
            nn.Conv2d(6, 4, 1, groups=2, bias=False), nn.AvgPool2d(2), nn.Dropout(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3),
        ),
    ],
)  # fmt: skip
def test_the_function_stays_and_the_ranges_meet(net):
    net = uneven(copy.deepcopy(net)).eval()
    before = copy.deepcopy(net.state_dict())
    even = equalize(net)
    assert same(even, net, images())
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    layers = [m for m in even.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for first, second in itertools.pairwise(layers):
        groups = getattr(second, "groups", 1)
        incoming = second.weight.detach().reshape(groups, second.weight.shape[0] // groups, -1)
        per_channel = incoming.reshape(*incoming.shape[:2], len(first.weight) // groups, -1)
        expected = per_channel.abs().amax(dim=(1, 3)).flatten()
        assert torch.allclose(ranges(first), expected, rtol=0.01)


def test_it_mends_what_one_scale_for_a_layer_breaks():
    net = uneven(SimpleCNN((1, 16, 16))).eval()

    def error(model):
        quantized = copy.deepcopy(model)
        prepare_(quantized, num_bits=8, granularity=PerTensor())
        with torch.no_grad():
            return float((quantized(images()) - net(images())).square().mean())

    assert error(equalize(net)) < 0.3 * error(net)


def test_a_dead_channel_and_masks_are_left_as_they_are():
    net = SimpleCNN((1, 16, 16)).eval()
    with torch.no_grad():
        net.conv1.weight[0] = 0
    masks = mask_model_(net, sparsity=0.5)
    even = equalize(net)
    assert same(even, net, images())
    assert all(torch.equal(masks[n], mask) for n, mask in current_masks(even).items())
    assert float(even.conv1.weight[0].detach().abs().max()) == 0
    assert not torch.equal(even.conv1.weight, net.conv1.weight)


class Steps(nn.Module):
    """Layers, and steps that a test gives."""

    def __init__(self, steps):
        super().__init__()
        with seeded(0):
            self.conv, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.norm, self.wide = nn.BatchNorm2d(4), nn.Linear(64, 4)
            self.narrow, self.last = nn.Linear(4, 4), nn.Linear(4, 4)
        self.steps = steps

    def forward(self, x):
        return self.steps(self, x)


def viewed(m, x):
    y = m.conv(x)
    return m.wide(y.view(y.size(0), -1))


def twice(m, x):
    y = m.conv(x)
    return m.conv2(y.relu()) + y


@pytest.mark.parametrize(
    ("steps", "moves"),
    [
        (lambda m, x: m.conv2(m.conv(x).relu()), True),
        (lambda m, x: m.wide(m.conv(x).flatten(1)), True),
        (viewed, True),
        (lambda m, x: m.narrow(m.conv(x).mean((2, 3))), True),
        (lambda m, x: m.last(m.narrow(x).relu()), True),
        # From here on scaling a channel would change the function, or it cannot be told.
        (lambda m, x: m.conv2(F.relu6(m.conv(x))), False),
        (lambda m, x: m.conv2(m.conv(x).sigmoid()), False),
        (lambda m, x: m.conv2(m.norm(m.conv(x))), False),
        (twice, False),
        (lambda m, x: m.conv(x).mean((2, 3)), False),
        (lambda m, x: m.narrow(m.conv(x)), False),  # channels of one, columns of the other
        (lambda m, x: m.narrow(m.conv(x).mean(1)), False),
        (lambda m, x: m.narrow(m.conv(x).transpose(1, 3).mean((2, 3))), False),
        (lambda m, x: m.wide(m.conv(x).view(-1, 64)), False),
        (lambda m, x: m.wide(m.narrow(x).flatten(1).repeat(1, 4)), False),
        (lambda m, x: m.last(F.max_pool2d(m.narrow(x), (1, 3), 1, (0, 1))), False),
        (lambda m, x: m.narrow(m.narrow(x).relu()), False),
    ],
)
def test_only_layers_with_scalable_steps_between_them_are_touched(steps, moves):
    net = Steps(steps).eval()
    even = equalize(net)
    moved = [n for n, t in even.state_dict().items() if not torch.equal(t, net.state_dict()[n])]
    assert bool(moved) == moves
    assert same(even, net, images(4, (1, 4, 4)))


def test_bad_input_is_told():
    net = SimpleCNN((1, 16, 16))
    with pytest.raises(
        ValueError, match=re.escape("sweeps must be a whole number of at least 1, got 0.")
    ):
        equalize(net, sweeps=0)
    prepare_(net, num_bits=4)
    sentence = (
        "model must be in float to be equalized, got 'conv1' quantized. Do this first, then "
        "quantize."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        equalize(net)

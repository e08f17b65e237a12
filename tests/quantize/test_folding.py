"""Folding BatchNorm: by hand, for whole networks, with masks; what is left and what is refused."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from lwlab.models import ResNet8, SimpleCNN, seeded
from lwlab.prune.masking import current_masks, mask_model_
from lwlab.quantize.activations.preparing import prepare_activations
from lwlab.quantize.folding import fold_batchnorm
from lwlab.quantize.preparing import prepare_


def images(count=8, shape=(1, 16, 16)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def settle(net):
    """Give the BatchNorms statistics, factors and shifts that are not those of the start."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                nn.init.normal_(module.weight, generator=generator)
                nn.init.normal_(module.bias, generator=generator)
    return net.eval()


def norms(model):
    return [n for n, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def same(one, two, inputs):
    with torch.no_grad():
        return torch.allclose(one(inputs), two(inputs), rtol=1e-4, atol=1e-5)


def test_one_channel_by_hand():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)).eval()
    with torch.no_grad():
        net[0].weight.fill_(3.0), net[0].bias.fill_(1.0)
        net[1].running_mean.fill_(5.0), net[1].running_var.fill_(4.0)
        net[1].weight.fill_(-2.0), net[1].bias.fill_(0.5)
    folded = fold_batchnorm(net)
    # factor = -2 / sqrt(4); weight 3 * -1; bias (1 - 5) * -1 + 0.5
    assert folded.get_submodule("0").weight.item() == -3
    assert folded.get_submodule("0").bias.item() == 4.5
    assert isinstance(folded.get_submodule("1"), nn.Identity)
    assert isinstance(net[1], nn.BatchNorm2d)


def test_it_equals_what_torch_fuses():
    net = settle(nn.Sequential(nn.Conv2d(1, 6, 3, groups=1), nn.BatchNorm2d(6)))
    expected = fuse_conv_bn_eval(net[0], net[1])
    folded = fold_batchnorm(net).get_submodule("0")
    assert torch.allclose(folded.weight, expected.weight, rtol=1e-5)
    assert torch.allclose(folded.bias, expected.bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_a_resnet_computes_the_same_without_its_batchnorms(training):
    net = settle(ResNet8((1, 16, 16))).train(training)
    before = copy.deepcopy(net.state_dict())
    folded = fold_batchnorm(net)
    assert norms(folded) == []
    assert [node.name for node in folded.graph.nodes if "bn" in node.name] == []
    assert folded.training == training
    assert same(folded.eval(), net.eval(), images())
    assert same(copy.deepcopy(folded), net, images())
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False)),
        nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.BatchNorm1d(6)),
        nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8)),
    ],
)
def test_all_kinds_of_layers_take_it_in(net):
    settle(net)
    folded = fold_batchnorm(net)
    assert norms(folded) == []
    assert same(folded, net, images())
    assert all(p.requires_grad for p in folded.parameters())


def test_masks_stay_on_and_what_they_hide_is_folded_too():
    net = settle(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)))
    masks = mask_model_(net, sparsity=0.5)
    folded = fold_batchnorm(net)
    assert norms(folded) == []
    assert torch.equal(current_masks(folded)["0"], masks["0"])
    assert same(folded, net, images())
    factor = net[1].weight / torch.sqrt(net[1].running_var + net[1].eps)
    hidden = net[0].parametrizations.weight.original * factor[:, None, None, None]
    assert torch.allclose(folded.get_submodule("0").parametrizations.weight.original, hidden)


class Forked(nn.Module):
    """A convolution whose output goes to a BatchNorm and elsewhere."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class Twice(nn.Module):
    """One convolution called twice, each time with a BatchNorm behind it."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.conv = nn.Conv2d(1, 1, 3)
            self.norm1, self.norm2 = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    def forward(self, x):
        return self.norm2(self.conv(self.norm1(self.conv(x))))


def tied():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3))
    net[2].weight = net[0].weight
    return net


@pytest.mark.parametrize(
    ("net", "left"),
    [
        (nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3)), ["0"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), ["2"]),
        (Forked(), ["norm"]),
        (Twice(), ["norm1", "norm2"]),
        (tied(), ["1"]),
        (nn.Sequential(nn.Linear(16, 5), nn.Flatten(1, 2), nn.BatchNorm1d(16)), ["2"]),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3)),
                       nn.BatchNorm2d(2)), ["1"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)), ["1"]),
    ],
)  # fmt: skip
def test_what_cannot_be_folded_is_left_and_computes_the_same(net, left):
    settle(net)
    folded = fold_batchnorm(net)
    assert norms(folded) == left
    assert same(folded, net, images())


def test_a_quantized_model_is_refused():
    net = SimpleCNN((1, 16, 16))
    prepare_(net, num_bits={"conv2": 4})
    sentence = (
        "model must be in float to be folded, got {} quantized. Do this first, then quantize."
    )
    with pytest.raises(ValueError, match=re.escape(sentence.format("'conv2'"))):
        fold_batchnorm(net)
    prepared = prepare_activations(SimpleCNN((1, 16, 16)), images())
    with pytest.raises(ValueError, match=re.escape(sentence.format("'activations.images'"))):
        fold_batchnorm(prepared)
    with pytest.raises(TypeError, match=re.escape("model must be a torch.nn.Module, got str.")):
        fold_batchnorm("model")

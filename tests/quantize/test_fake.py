"""The FakeQuantize on one weight: values, gradients, scales that follow, masks below, copies."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from lwlab.quantize.fake import FakeLowBit, FakeQuantize, make_fake
from lwlab.quantize.granularity import PerChannel, PerGroup, PerTensor
from lwlab.quantize.observers import MinMax, Percentile
from lwlab.quantize.stacking import put_on_top_, take_off_top_, top_of
from lwlab.quantize.stacking import weight_below as below
from lwlab.quantize.tensor import TERNARY, quantize_tensor

WIDTHS = [1, 2, 4, 8, TERNARY]


class Keep(nn.Module):
    """A mask, as pruning puts one on."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0)

    def right_inverse(self, weight):
        return weight


def fake_of(module):
    return top_of(module, FakeQuantize)


def set_fake_(module, fake):
    put_on_top_(module, fake, FakeQuantize)


def remove_fake_(module):
    take_off_top_(module, FakeQuantize)


def weight_below(module):
    return below(module, FakeQuantize)


def make(weight, num_bits=4, granularity=None, **settings):
    settings = {"symmetric": True, "range_rule": MinMax(), **settings}
    return make_fake(weight, num_bits, granularity=granularity or PerChannel(), **settings)


def layer(seed=0):
    linear = nn.Linear(6, 4)
    linear.weight.data = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    return linear


@pytest.mark.parametrize("num_bits", WIDTHS)
@pytest.mark.parametrize("granularity", [PerTensor(), PerChannel(), PerGroup(3)], ids=repr)
def test_it_gives_what_the_tensor_quantized_alone_gives(num_bits, granularity):
    linear = layer()
    expected = quantize_tensor(linear.weight, num_bits, granularity)
    set_fake_(linear, make(linear.weight, num_bits, granularity))
    assert torch.equal(linear.weight, expected.dequantize())
    quantized = fake_of(linear).quantized(weight_below(linear))
    assert torch.equal(quantized.codes, expected.codes)
    assert torch.equal(quantized.scale, expected.scale)
    assert quantized.storage_bits() == expected.storage_bits()


@pytest.mark.parametrize("num_bits", WIDTHS)
def test_the_gradient_reaches_the_original_unchanged(num_bits):
    linear = layer()
    original = linear.weight
    set_fake_(linear, make(linear.weight, num_bits, range_rule=MinMax()))
    gradient = torch.randn(4, 6)
    linear.weight.backward(gradient)
    torch.testing.assert_close(original.grad, gradient)


def test_the_gradient_stops_where_a_weight_is_clipped():
    linear = layer()
    original = linear.weight
    set_fake_(linear, make(linear.weight, range_rule=Percentile(60)))
    linear.weight.sum().backward()
    # The grid goes a code further down (-8) than up (7), and rounds back what is half a step out.
    fake = fake_of(linear)
    steps = torch.round(original / fake.scale[:, None])
    assert torch.equal(original.grad == 0, (steps > 7) | (steps < -8))
    assert 0 < (original.grad == 0).sum() < 24


def test_scales_follow_in_training_and_stand_still_when_measured():
    linear = layer()
    set_fake_(linear, make(linear.weight))
    before = fake_of(linear).scale
    with torch.no_grad():
        linear.parametrizations.weight.original.mul_(2)
        _ = linear.weight
    linear.eval()
    _ = linear.weight
    assert fake_of(linear).scale is before
    linear.train()
    _ = linear.weight
    assert torch.equal(fake_of(linear).scale, 2 * before)


def test_scales_can_be_told_to_stay():
    linear = layer()
    set_fake_(linear, make(linear.weight, follow=False))
    before = fake_of(linear).scale
    linear.parametrizations.weight.original.data.mul_(2)
    _ = linear.weight
    assert fake_of(linear).scale is before
    fake_of(linear).update_(weight_below(linear))
    assert torch.equal(fake_of(linear).scale, 2 * before)


@pytest.mark.parametrize("num_bits", WIDTHS)
def test_on_a_mask_what_is_pruned_stays_zero_and_gets_no_gradient(num_bits):
    linear = layer()
    original, mask = linear.weight, torch.rand(4, 6) > 0.5
    parametrize.register_parametrization(linear, "weight", Keep(mask))
    set_fake_(linear, make(weight_below(linear), num_bits))
    assert bool((linear.weight[~mask] == 0).all())
    assert bool((linear.weight[mask] != 0).any())
    linear.weight.sum().backward()
    assert torch.equal(original.grad != 0, mask)
    assert bool((original != 0).all())  # the originals were not touched


def test_a_new_one_replaces_the_old_one_and_taking_it_off_leaves_the_mask():
    linear = layer()
    mask = torch.rand(4, 6) > 0.5
    parametrize.register_parametrization(linear, "weight", Keep(mask))
    masked = linear.weight.detach().clone()
    for num_bits in (2, 8):
        set_fake_(linear, make(weight_below(linear), num_bits))
    assert len(linear.parametrizations.weight) == 2
    assert fake_of(linear).num_bits == 8
    remove_fake_(linear)
    assert torch.equal(linear.weight, masked)
    remove_fake_(linear)
    assert len(linear.parametrizations.weight) == 1


def test_taken_off_a_plain_layer_is_what_it_was():
    linear = layer()
    parameter, values = linear.weight, linear.weight.detach().clone()
    set_fake_(linear, make(linear.weight, 2))
    remove_fake_(linear)
    assert linear.weight is parameter
    assert torch.equal(parameter, values)
    assert type(linear) is nn.Linear


def test_copies_are_independent():
    linear = layer()
    set_fake_(linear, make(linear.weight, 2))
    twin = copy.deepcopy(linear)
    remove_fake_(twin)
    assert len(linear.weight.unique()) < 24
    other = copy.deepcopy(linear)
    set_fake_(other, make(weight_below(other), 8))
    assert (fake_of(linear).num_bits, fake_of(other).num_bits) == (2, 8)
    other.parametrizations.weight.original.data.zero_()
    _ = other.weight
    assert not torch.equal(fake_of(linear).scale, fake_of(other).scale)


def test_it_sits_on_weight_norm_whose_weight_has_two_originals():
    linear = parametrizations.weight_norm(layer())
    expected = quantize_tensor(linear.weight, 4, PerChannel())
    set_fake_(linear, make(weight_below(linear)))
    assert torch.equal(linear.weight, expected.dequantize())
    remove_fake_(linear)
    torch.testing.assert_close(linear.weight, layer().weight)


def test_a_state_dict_carries_the_scales():
    linear, other = layer(), layer(1)
    for module in (linear, other):
        set_fake_(module, make(weight_below(module)))
    other.load_state_dict(linear.state_dict())
    other.eval()
    linear.eval()
    assert torch.equal(other.weight, linear.weight)


def test_it_says_what_it_is():
    weight = torch.randn(4, 6)
    assert repr(make(weight)) == "FakeQuantize(4 bits, PerChannel(axis=0), 4 scales)"
    assert repr(make(weight, TERNARY)) == "FakeLowBit(ternary, PerChannel(axis=0), 4 scales)"
    assert isinstance(make(weight, 1), FakeLowBit)
    one_sided = make(weight, 1, symmetric=False)
    assert type(one_sided) is FakeQuantize
    assert fake_of(nn.Linear(2, 2)) is None


def test_half_precision_works():
    linear = layer().half()
    set_fake_(linear, make(linear.weight))
    assert linear.weight.dtype == torch.float16
    assert torch.equal(
        linear.weight, quantize_tensor(layer().weight.half(), 4, PerChannel()).dequantize()
    )

"""Several widths inside one layer: as its channels quantized apart; trains, stacks, copies."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab import data, packing
from lwlab.models import LeNet300, seeded
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.fake_channels import FakeQuantizeChannels, check_channel_bits
from lwlab.quantize.granularity import PerChannel, PerGroup, PerTensor
from lwlab.quantize.observers import MeanSquared, MinMax
from lwlab.quantize.preparing import current_bits, prepare_, quantized_weights, unprepare_
from lwlab.quantize.stacking import put_on_top_
from lwlab.quantize.tensor import quantize_tensor
from lwlab.train import fit

WIDTHS = (8, 2, 1, 4, 2)


class Keep(nn.Module):
    """A mask, as pruning puts one on."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0)

    def right_inverse(self, weight):
        return weight


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def weights(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(weight, num_bits=WIDTHS, granularity=None, **settings):
    settings = {"symmetric": True, "range_rule": MinMax(), **settings}
    granularity = granularity or PerChannel()
    return FakeQuantizeChannels(weight, num_bits=num_bits, granularity=granularity, **settings)


def layer():
    with seeded(0):
        return nn.Sequential(nn.Conv2d(3, 5, 2), nn.Flatten(), nn.Linear(20, 4))


def test_two_channels_by_hand():
    # 2 bits: codes -2 -1 0 1 times 3; 3 bits: -4 ... 3 times 1.
    weight = torch.tensor([[3.0, -1.6, 1.4], [3.0, -1.6, 1.4]])
    fake = make(weight, (2, 3))
    assert fake(weight).tolist() == [[3, -3, 0], [3, -2, 1]]
    quantized = fake.quantized(weight)
    assert quantized.codes.tolist() == [[1, -1, 0], [3, -2, 1]]
    assert quantized.num_bits == (2, 3)
    # Codes 3 * 2 + 3 * 3, scales 2 * 32, widths 2 * 8.
    assert quantized.storage_bits() == 15 + 64 + 16
    assert quantized.storage_bits(scale_bits=16) == 15 + 32 + 16


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("granularity", [PerChannel(), PerGroup(6)])
def test_each_channel_is_as_if_it_were_quantized_alone(granularity, symmetric):
    weight = weights(5, 3, 2, 2)
    settings = {"symmetric": symmetric, "range_rule": MeanSquared(20)}
    fake = make(weight, granularity=granularity, **settings)
    quantized = fake.quantized(weight)
    assert torch.equal(quantized.dequantize(), fake(weight))
    assert torch.equal(quantized.scale, fake.scale)
    assert torch.equal(quantized.zero_point, fake.zero_point)
    for channel, width in enumerate(WIDTHS):
        alone = quantize_tensor(weight[channel : channel + 1], width, granularity, **settings)
        assert torch.equal(fake(weight)[channel], alone.dequantize()[0])
        assert torch.equal(quantized.codes[channel], alone.codes[0])
        scales = fake.scale.reshape(5, -1)[channel]
        assert torch.equal(scales, alone.scale)
        assert torch.equal(fake.zero_point.reshape(5, -1)[channel], alone.zero_point)
    assert quantized.codes.min() >= quantized.quant_min
    assert quantized.codes.max() <= quantized.quant_max


def test_one_width_for_all_channels_is_the_whole_layer_at_that_width():
    whole, channels = layer(), layer()
    prepare_(whole, num_bits=3)
    prepare_(channels, num_bits={"0": (3,) * 5, "2": [3] * 4})
    for name in ("0", "2"):
        ours, theirs = quantized_weights(channels)[name], quantized_weights(whole)[name]
        assert torch.equal(ours.codes, theirs.codes)
        assert torch.equal(ours.scale, theirs.scale)
    inputs = weights(2, 3, 3, 3)
    assert torch.equal(whole(inputs), channels(inputs))


def test_prepare_takes_and_current_bits_gives_widths_of_channels():
    model, plain = layer(), layer()
    prepare_(model, num_bits={"0": WIDTHS, "2": 4})
    assert current_bits(model) == {"0": WIDTHS, "2": 4}
    other = layer()
    prepare_(other, num_bits=current_bits(model))
    assert torch.equal(other[0].weight, model[0].weight)
    prepare_(model, num_bits={"0": 8})
    assert type(model[0].parametrizations["weight"][-1]) is FakeQuantize
    assert current_bits(model) == {"0": 8, "2": 4}
    prepare_(model, num_bits={"2": (8, 2, 2, 8)})
    unprepare_(model)
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in plain.state_dict().items())


def test_the_gradient_passes_but_where_a_value_is_clipped():
    weight = torch.tensor([[1.0, 0.4, -3.0], [1.0, 0.4, -3.0]])
    fake = make(weight, (2, 8), follow=False)
    larger = torch.tensor([[9.0, 0.4, -3.0], [1.0, 0.4, -3.0]], requires_grad=True)
    fake(larger).sum().backward()
    assert torch.allclose(larger.grad, torch.tensor([[0.0, 1, 1], [1, 1, 1]]))


def test_scales_follow_in_training_and_stay_in_evaluation():
    model = layer()
    fake = prepare_(model, num_bits={"0": (8, 2, 3, 4, 2)})["0"]
    before = fake.scale
    with torch.no_grad():
        model[0].parametrizations["weight"].original.mul_(2)
    model.eval()
    _ = model[0].weight
    assert torch.equal(fake.scale, before)
    model.train()
    _ = model[0].weight
    assert torch.equal(fake.scale, 2 * before)


def test_a_masked_layer_stays_masked_and_trains():
    digits = data.load("digits")
    model = LeNet300(digits.input_shape, width=30)
    mask = weights(30, 64, seed=1) > 0
    put_on_top_(model.fc1, Keep(mask), Keep)
    prepare_(model, num_bits={"fc1": (2, 3, 4) * 10, "fc2": 4})
    before = model.fc1.weight.detach().clone()
    records = list(fit(model, digits, epochs=2))
    assert records[-1].validation_accuracy > records[0].validation_accuracy
    assert not torch.equal(before, model.fc1.weight)
    assert not model.fc1.weight[~mask].any()
    assert model.fc1.weight[0].unique().numel() <= 4


def test_a_copy_is_its_own_and_the_state_loads():
    model = layer()
    prepare_(model, num_bits={"0": WIDTHS})
    twin = copy.deepcopy(model)
    assert torch.equal(twin[0].weight, model[0].weight)
    with torch.no_grad():
        twin[0].parametrizations["weight"].original.mul_(3)
    twin.train()
    _ = twin[0].weight
    assert not torch.equal(twin[0].weight, model[0].weight)
    model.load_state_dict(twin.state_dict())
    assert torch.equal(twin.eval()[0].weight, model.eval()[0].weight)


def test_it_prints_how_many_channels_have_which_width():
    text = "output channels by bits: 1 of 1, 2 of 2, 1 of 4, 1 of 8"
    assert make(weights(5, 4)).extra_repr() == text


@pytest.mark.parametrize("granularity", [PerChannel(), PerGroup(6)])
def test_the_stored_form_has_a_width_for_each_scale(granularity):
    weight = weights(5, 3, 2, 2)
    fake = make(weight, granularity=granularity)
    stored = fake.stored_form(weight)
    spread = (stored.scale, stored.zero_point)
    scale, zero_point = (granularity.spread(part, weight.shape) for part in spread)
    assert torch.equal((stored.codes - zero_point) * scale, fake(weight))
    groups = len(stored.scale) // 5
    assert stored.num_bits.tolist() == [width for width in WIDTHS for _ in range(groups)]
    rows = stored.rows.cut(weight.numpy())
    assert rows.shape == granularity.rows(weight).shape
    assert (rows == granularity.rows(weight).numpy()).all()


def test_the_packed_file_loads_back_to_the_bit():
    model, plain = layer(), layer()
    prepare_(model, num_bits={"0": WIDTHS, "2": (3, 5, 6, 7)})
    packing.from_bytes_(plain, packing.to_bytes(model))
    for ours, theirs in ((model[0], plain[0]), (model[2], plain[2])):
        assert torch.equal(ours.weight, theirs.weight)
        assert torch.equal(ours.bias, theirs.bias)


def test_a_narrow_channel_makes_the_file_shorter():
    with seeded(0):
        sizes = []
        for widths in ((8,) * 64, (4,) + (8,) * 63, (4,) * 64):
            model = nn.Sequential(nn.Linear(640, 64))
            prepare_(model, num_bits={"0": widths})
            # As they are, bit by bit: an entropy coder saves more of them.
            sizes.append(len(packing.to_bytes(model, codings={"scaled"})))
    one = 640 * 4 / 8
    assert sizes[0] - sizes[1] == pytest.approx(one, abs=100)
    assert sizes[0] - sizes[2] == pytest.approx(64 * one, abs=200)


def test_what_is_refused_leaves_the_model_as_it_was():
    model = layer()
    count = "num_bits of layer '0' must hold a width for each of the 5 output channels, got 3."
    with says(ValueError, count):
        prepare_(model, num_bits={"2": 4, "0": (1, 2, 3)})
    width = "num_bits of layer '0', output channel 1, must be a whole number from 1 to 8, got 9."
    with says(ValueError, width):
        prepare_(model, num_bits={"0": (1, 9, 3, 4, 5)})
    with says(
        ValueError,
        "granularity must be PerChannel() or PerGroup(size), with scales inside each output "
        "channel, where a layer has several widths, got PerTensor().",
    ):
        prepare_(model, num_bits={"0": WIDTHS}, granularity=PerTensor())
    with says(TypeError, "num_bits must be a list of widths, one per output channel, got 4."):
        check_channel_bits(4)
    assert not any(parametrize.is_parametrized(module) for module in model)

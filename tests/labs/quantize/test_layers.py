import itertools
import math

import pytest
import torch
from torch import nn

from lwlab.labs.quantize.groups import FittingGroups, fitting_group
from lwlab.labs.quantize.layers import Quantizers, decibels
from lwlab.labs.quantize.params import QuantizeParams
from lwlab.labs.quantize.settings import setting_of
from lwlab.quantize import PerChannel, PerGroup, PerTensor, quantize_tensor

WEIGHT = torch.tensor([[-1.0, 0.1, 0.45, 0.7], [0.2, -0.2, 0.05, 0.0]])


@pytest.fixture
def quantizers():
    model = nn.Sequential(nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(WEIGHT)
    return Quantizers(model)


def test_decibels_worked_by_hand():
    assert decibels(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.5])) == pytest.approx(20.0)
    assert decibels(WEIGHT, WEIGHT) == math.inf
    assert decibels(torch.zeros(2), torch.zeros(2)) == math.inf
    assert decibels(torch.zeros(2), torch.ones(2)) == -math.inf


def test_one_bit_more_is_about_six_decibels(quantizers):
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    noises = [decibels(weight, quantize_tensor(weight, bits).dequantize()) for bits in range(4, 9)]
    assert all(5 < b - a < 7 for a, b in itertools.pairwise(noises))


def test_the_noise_is_that_of_the_quantized_tensor(quantizers):
    for bits in (1, "ternary", 2, 4):
        noise = quantizers.noise(QuantizeParams(num_bits=bits))["0"]
        wanted = quantize_tensor(WEIGHT, bits, PerChannel()).dequantize()
        assert noise.decibels == pytest.approx(decibels(WEIGHT, wanted))
        assert noise.scales == 2
    in_float = quantizers.noise(QuantizeParams(num_bits="float"))["0"]
    assert (in_float.decibels, in_float.scales) == (math.inf, 0)


def test_what_makes_no_difference_is_no_new_setting():
    def setting(**changes):
        return setting_of(QuantizeParams(**changes), "a", WEIGHT)

    assert setting(num_bits="ternary", rule="entropy", symmetric=False) == setting(
        num_bits="ternary"
    )
    assert setting(num_bits="float", granularity="tensor") == setting(
        num_bits="float", rule="entropy"
    )
    assert setting(percent=99.0) == setting(percent=95.0)
    assert setting(rule="percentile", percent=99.0) != setting(rule="percentile", percent=95.0)
    assert setting(clips={"a": (-1, 1)}) == setting()
    assert setting(clips={"a": (-1, 1)}, rule="by_hand") != setting(rule="by_hand")
    assert setting(group_size=2) == setting(group_size=4)


def test_groups_divide_the_channels_of_any_layer():
    assert fitting_group((8, 4, 3, 3), 16) == PerGroup(12)
    assert fitting_group((8, 7), 4) == PerGroup(1)
    assert fitting_group((8, 4), 100) == PerGroup(4)
    for shape in ((8, 4, 3, 3), (5, 7)):
        tensor = torch.arange(float(math.prod(shape))).reshape(shape)
        rows = FittingGroups(6).rows(tensor)
        assert torch.equal(FittingGroups(6).from_rows(rows, shape), tensor)
        spread = FittingGroups(6).spread(rows.amax(dim=1), shape)
        assert torch.equal(torch.maximum(spread, tensor), spread)


def test_each_granularity_by_its_name():
    made = {
        name: setting_of(QuantizeParams(granularity=name, group_size=3), "a", WEIGHT).granularity
        for name in ("tensor", "channel", "group")
    }
    assert made == {"tensor": PerTensor(), "channel": PerChannel(), "group": PerGroup(2)}


def test_the_grid_its_lines_and_what_is_clipped(quantizers):
    view = quantizers.view(QuantizeParams(num_bits=2, granularity="tensor"), "0")
    assert view.grids == (pytest.approx((-2.0, -1.0, 0.0, 1.0)),)
    assert (view.scales, view.lines) == (1, (-1.0, 1.0))
    assert not view.clipped.any()
    by_hand = QuantizeParams(
        num_bits=2, granularity="tensor", rule="by_hand", clips={"0": (-0.3, 0.1)}
    )
    view = quantizers.view(by_hand, "0")
    assert view.grids == (pytest.approx((-0.6, -0.3, 0.0, 0.3)),)
    assert view.lines == pytest.approx((-0.3, 0.3))
    assert view.clipped.tolist() == [[True, False, False, True], [False] * 4]


def test_an_asymmetric_range_has_its_lines_where_they_are_asked_for(quantizers):
    params = QuantizeParams(symmetric=False, rule="by_hand", clips={"0": (-0.33, 9.0)})
    view = quantizers.view(params, "0")
    assert view.lines == pytest.approx((-0.33, 0.7))  # there are no weights beyond 0.7


def test_a_layer_without_a_range_has_no_lines(quantizers):
    view = quantizers.view(QuantizeParams(num_bits="ternary"), "0")
    assert (view.lines, view.clipped) == (None, None)
    assert [len(row) for row in view.grids] == [3, 3]
    binary = quantizers.view(QuantizeParams(num_bits=1, granularity="tensor"), "0")
    assert [len(row) for row in binary.grids] == [2]
    in_float = quantizers.view(QuantizeParams(num_bits="float"), "0")
    assert (in_float.grids, in_float.scales, in_float.lines) == ((), 0, None)
    one_bit = quantizers.view(QuantizeParams(num_bits=1, symmetric=False), "0")
    assert one_bit.lines is not None  # evenly spaced: it has a range

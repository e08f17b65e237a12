"""What layers and channels cost: shares by hand, losses that never rise with the width, bytes."""

import copy

import pytest
import torch
from torch import nn

from lwlab.measure import Accuracy, packed_bytes
from lwlab.models import seeded
from lwlab.quantize.mixed.bit_point import BitPoint
from lwlab.quantize.mixed.costs import layer_costs
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity
from lwlab.quantize.preparing import prepare_


def scan(*rows, bits):
    points = tuple(
        tuple(None if loss is None else BitPoint(Accuracy(5, 10), 0.0, loss) for loss in row)
        for row in rows
    )
    names = tuple(str(index) for index in range(len(rows)))
    return BitSensitivity(Accuracy(9, 10), names, bits, points)


def test_a_channel_has_the_share_of_its_squared_error():
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    # 2 bits, codes -2 ... 1, scales 1 and 3: errors 0.2 and 0.6.
    model[0].weight.data = torch.tensor([[1.0, 0.2], [3.0, 0.6]])
    [found] = layer_costs(scan([8.0, 0.0], bits=(2, 8)), model, {})
    assert found.shares[0].tolist() == pytest.approx([0.1, 0.9])
    narrow, wide = found.of_channels([2, 8])
    assert [narrow[0].loss, wide[0].loss] == pytest.approx([0.8, 7.2])
    assert [option[0].loss for option in found.of_channels([8])] == [0, 0]


def test_of_all_channels_together_the_loss_and_the_bytes_are_those_of_the_layer():
    with seeded(0):
        model = nn.Sequential(nn.Conv2d(2, 6, 3))
    [found] = layer_costs(scan([3.0, 0.5], bits=(2, 4)), model, {})
    rows = found.of_channels(found.bits)
    for index, option in enumerate(found.of_layer()):
        assert sum(row[index].loss for row in rows) == pytest.approx(option.loss)
        assert sum(row[index].size for row in rows) == pytest.approx(option.size)
        alone = copy.deepcopy(model[0])
        prepare_(alone, num_bits=found.bits[index])
        assert option.size == packed_bytes(alone)
    assert (found.channels, found.weights) == (6, 108)


def test_a_narrower_width_that_scores_better_by_chance_is_not_better():
    model = nn.Sequential(nn.Linear(3, 2))
    [found] = layer_costs(scan([0.5, 0.1, 0.2, 0.0], bits=(2, 3, 4, 8)), model, {})
    assert found.losses == (0.5, 0.2, 0.2, 0.0)


def test_widths_that_were_not_measured_are_left_out():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    first, second = layer_costs(scan([None, 0.1, 0.0], [0.3, None, 0.2], bits=(2, 4, 8)), model, {})
    assert (first.bits, second.bits) == ((4, 8), (2, 8))
    assert first.losses == (0.1, 0.0)


def test_weights_that_are_on_the_grid_share_alike():
    model = nn.Sequential(nn.Linear(2, 4, bias=False))
    nn.init.ones_(model[0].weight)
    [found] = layer_costs(scan([1.0], bits=(4,)), model, {})
    assert found.shares[0].tolist() == [0.25] * 4

"""Granularity: rows and back, one number per group where it belongs."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.granularity import PerChannel, PerGroup, PerTensor, check_granularity

WEIGHT = torch.arange(24).reshape(2, 3, 4)


def test_rows_by_hand():
    assert PerTensor().rows(WEIGHT).tolist() == [list(range(24))]
    assert PerChannel().rows(WEIGHT).tolist() == [list(range(12)), list(range(12, 24))]
    assert PerChannel(1).rows(WEIGHT)[0].tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert PerChannel(-1).rows(WEIGHT)[3].tolist() == [3, 7, 11, 15, 19, 23]
    assert PerGroup(6).rows(WEIGHT)[1].tolist() == [6, 7, 8, 9, 10, 11]
    assert PerGroup(4, axis=1).rows(WEIGHT)[1].tolist() == [12, 13, 14, 15]


def test_spread_by_hand():
    assert PerTensor().spread(torch.tensor([5.0]), (2, 3)).shape == ()
    assert PerChannel(1).spread(torch.arange(3), (2, 3, 4)).shape == (1, 3, 1)
    spread = PerGroup(2).spread(torch.arange(4), (2, 4))
    assert spread.tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_rows_come_back_and_spread_tells_the_row_of_each_value(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    values = math.prod(shape) // shape[axis]
    size = data.draw(st.sampled_from([d for d in range(1, values + 1) if values % d == 0]))
    tensor = torch.arange(math.prod(shape)).reshape(shape)
    for granularity in (PerTensor(), PerChannel(axis), PerGroup(size, axis)):
        rows = granularity.rows(tensor)
        assert torch.equal(granularity.from_rows(rows, tuple(shape)), tensor)
        number = torch.arange(len(rows))
        spread = granularity.spread(number, tuple(shape)).expand(shape)
        assert torch.equal(granularity.rows(spread), number[:, None].expand(rows.shape))


def test_a_group_as_long_as_a_channel_is_the_channel():
    assert torch.equal(PerGroup(12).rows(WEIGHT), PerChannel().rows(WEIGHT))


def test_an_empty_tensor_has_rows_without_values():
    assert PerTensor().rows(torch.zeros(0, 3)).shape == (1, 0)
    assert PerChannel().rows(torch.zeros(3, 0)).shape == (3, 0)
    assert PerChannel().rows(torch.zeros(0, 3)).shape == (0, 3)
    assert PerGroup(3).rows(torch.zeros(0, 3)).shape == (0, 3)


def test_torch_quantizes_per_channel_as_spread_scales_do():
    x, scale = torch.randn(4, 3, 2), torch.tensor([0.1, 0.2, 0.3])
    ours = torch.round(x / PerChannel(1).spread(scale, x.shape))
    for channel in range(3):
        assert torch.equal(ours[:, channel], torch.round(x[:, channel] / scale[channel]))


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: PerGroup(5).rows(WEIGHT),
            ValueError,
            "size must divide the 12 values of a channel of shape (2, 3, 4), got 5. Try 4.",
        ),
        (
            lambda: PerGroup(100).rows(WEIGHT),
            ValueError,
            "size must divide the 12 values of a channel of shape (2, 3, 4), got 100. Try 12.",
        ),
        (lambda: PerGroup(0), ValueError, "size must be a whole number of at least 1, got 0."),
        (lambda: PerChannel(1.5), TypeError, "axis must be a whole number, got 1.5."),
        (lambda: PerGroup(2, axis=True), TypeError, "axis must be a whole number, got True."),
        (
            lambda: PerChannel(3).rows(WEIGHT),
            ValueError,
            "axis must be one of a tensor's 3 axes, got 3 for shape (2, 3, 4).",
        ),
        (
            lambda: PerChannel().rows(torch.tensor(1.0)),
            ValueError,
            "axis must be one of a tensor's 0 axes, got 0 for shape ().",
        ),
        (
            lambda: check_granularity(PerChannel),
            TypeError,
            (
                "granularity must be PerTensor(), PerChannel(axis) or PerGroup(size), "
                "got the class PerChannel."
            ),
        ),
        (
            lambda: check_granularity("channel"),
            TypeError,
            "granularity must be PerTensor(), PerChannel(axis) or PerGroup(size), got 'channel'.",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, error, sentence):
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        make()

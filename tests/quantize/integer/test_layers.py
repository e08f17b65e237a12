import re

import pytest
import torch
from torch import nn

from lwlab.quantize import dequantize
from lwlab.quantize.integer import (
    ClampCodes,
    Dequantize,
    IntegerAveragePool,
    IntegerBatchNorm,
    IntegerConcat,
    IntegerConv,
    IntegerLinear,
    IntegerMaxPool,
    IntegerMean,
    IntegerReLU,
    IntegerSum,
    Quantize,
    Requantize,
)


def whole(values):
    return torch.tensor(values, dtype=torch.int32)


ZERO = whole(0)


def test_a_linear_layer_by_hand():
    layer = IntegerLinear(whole([[2, -1]]), whole([0]), torch.tensor([10.0]), whole(3), 252)
    assert layer(whole([[5, 4]])).tolist() == [[2 * (5 - 3) - (4 - 3) + 10]]


def test_a_weight_zero_point_comes_off():
    layer = IntegerLinear(whole([[200, 7]]), whole([7]), None, ZERO, 255)
    assert layer.weight.dtype == torch.uint8
    assert layer.bias is None
    assert layer(whole([[1, 50]])).tolist() == [[193]]


def test_a_convolution_pads_with_the_zero_point_by_hand():
    like = nn.Conv1d(1, 1, 3, padding=1)
    layer = IntegerConv(whole([[[1, 10, 100]]]), whole([0]), None, whole(5), 250, like=like)
    assert layer(whole([[[6, 8]]])).tolist() == [[[10 * 1 + 100 * 3, 1 * 1 + 10 * 3]]]


def test_integers_are_stored_as_small_as_they_are():
    layer = IntegerLinear(whole([[2, -1]]), whole([0]), torch.tensor([10.0]), whole(3), 252)
    dtypes = {name: tensor.dtype for name, tensor in layer.state_dict().items()}
    assert dtypes == {
        "weight": torch.int8, "weight_zero_point": torch.int32, "bias": torch.int32,
        "input_zero_point": torch.int32,
    }  # fmt: skip


@pytest.mark.parametrize(("bias", "fits"), [(2147483617.0, True), (2147483618.0, False)])
def test_sums_must_fit_int32_to_the_last_unit(bias, fits):
    arguments = (whole([[2, -1]]), whole([0]), torch.tensor([bias], dtype=torch.float64))
    if fits:
        layer = IntegerLinear(*arguments, ZERO, 10)
        assert layer(whole([[10, -10]])).tolist() == [[2**31 - 1]]
        return
    sentence = (
        "the sums of a layer must stay within int32, up to 2,147,483,647, got a bound of "
        "2.15e+09, of which the bias is 2.15e+09."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        IntegerLinear(*arguments, ZERO, 10)


def test_quantize_and_dequantize_by_hand():
    grid = (torch.tensor(0.5), whole(10), 0, 255)
    codes = Quantize(*grid)(torch.tensor([-9.0, -1.0, 0.0, 0.75, 0.8, 500.0]))
    assert codes.tolist() == [0, 8, 10, 12, 12, 255]  # 0.75 / 0.5 = 1.5, halves to even: 2
    assert Dequantize(torch.tensor(0.5), whole(10))(codes).tolist() == [-5, -1, 0, 1, 1, 122.5]
    assert torch.equal(Dequantize(*grid[:2])(codes), dequantize(codes, *grid[:2]))


def test_sums_by_channel_get_their_own_scale():
    x = whole([[[100, 4], [100, 4]]])
    requantize = Requantize(torch.tensor([0.5, 0.125]), whole(1), 0, 40)
    assert requantize(x).tolist() == [[[40, 3], [14, 2]]]  # 50 + 1 is clamped; 12.5 goes up
    assert Dequantize(torch.tensor([0.5, 2.0]))(x).tolist() == [[[50, 2], [200, 8]]]
    assert Dequantize(torch.tensor([0.5, 2.0]), axis=-1)(x).tolist() == [[[50, 8], [50, 8]]]


def test_codes_move_from_grid_to_grid():
    requantize = Requantize(torch.tensor(0.5), whole(-3), -8, 7, input_zero_point=10)
    assert requantize(whole([10, 12, 0, 255])).tolist() == [-3, -2, -8, 7]


def test_relu_max_pool_and_clamp_by_hand():
    x = whole([[[-5, 3, 9, 1]]])
    assert IntegerReLU()(x).tolist() == [[[0, 3, 9, 1]]]
    assert IntegerMaxPool(nn.MaxPool1d(2), 1)(x).tolist() == [[[3, 9]]]
    assert ClampCodes(whole(0))(x).tolist() == [[[0, 3, 9, 1]]]
    assert ClampCodes(None, whole(4))(x).tolist() == [[[-5, 3, 4, 1]]]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_pooling_keeps_what_float32_cannot_hold(rank):
    pool = [nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d][rank - 1](2, padding=1)
    x = torch.full((1, 1, *[2] * rank), 2**24 + 1, dtype=torch.int32)
    pooled = IntegerMaxPool(pool, rank)(-x)
    assert pooled.dtype == torch.int32
    assert pooled.unique().tolist() == [-(2**24) - 1]


def test_a_sum_and_a_difference_by_hand():
    scales, zeros = (torch.tensor(1.0), torch.tensor(0.25)), (whole(2), whole(0))
    first, second = whole([3, 2]), whole([4, 3])
    for minus, expected in [(False, [2.0, 0.75]), (True, [0.0, -0.75])]:
        module = IntegerSum(scales, zeros, minus=minus)
        assert float(module.scale) == 2**-20
        assert (module(first, second) * module.scale).tolist() == expected


def test_a_join_by_hand():
    module = IntegerConcat((torch.tensor(1.0), torch.tensor(0.25)), (whole(2), whole(0)), dim=1)
    joined = module(whole([[3]]), whole([[4, 3]]))
    assert (joined * module.scale).tolist() == [[1.0, 1.0, 0.75]]


def test_means_by_hand():
    x = whole([[[11, 12], [10, 10]]])
    assert (IntegerMean((1, 2), False, whole(10))(x) / 2**16).tolist() == [0.75]
    assert (IntegerMean(-1, True, whole(10))(x) / 2**16).tolist() == [[[1.5], [0.0]]]
    thirds = [int(IntegerMean(0, False, ZERO)(whole([n, 0, 0]))) for n in (1, 2, -1, -2)]
    assert thirds == [21845, 43691, -21845, -43691]  # 2^16 / 3 = 21845.33


POOLS = [
    nn.AvgPool1d(3, stride=2, padding=1),
    nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    nn.AvgPool2d((2, 3), stride=(3, 2), padding=1, ceil_mode=True),
    nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    nn.AvgPool2d(2, divisor_override=7),
    nn.AvgPool3d(2, padding=1),
    nn.AdaptiveAvgPool1d(3),
    nn.AdaptiveAvgPool2d((None, 4)),
    nn.AdaptiveAvgPool3d(2),
]


@pytest.mark.parametrize("pool", POOLS, ids=repr)
def test_average_pooling_is_that_of_torch_with_every_border(pool):
    names = ("kernel_size", "stride", "padding", "count_include_pad", "divisor_override")
    rank = int(type(pool).__name__[-2])
    adaptive = "Adaptive" in type(pool).__name__
    settings = None if adaptive else {name: getattr(pool, name, None) for name in names}
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, *(7, 6, 5)[:rank])
    codes = torch.randint(0, 256, shape, generator=generator, dtype=torch.int32)
    averages = IntegerAveragePool(pool, settings, whole(9), rank)(codes)
    expected = pool((codes - 9).double()) * 2**16
    assert averages.dtype == torch.int32
    assert (averages - expected).abs().max() <= 0.5


def test_batchnorm_fits_int32_and_is_fine_for_every_channel():
    norm = nn.BatchNorm1d(4).eval()
    norm.weight.data = torch.tensor([1.0, 1e-12, 0.0, 50.0])
    norm.bias.data = torch.tensor([0.5, 3.0, 0.0, 0.0])
    norm.running_mean[:], norm.running_var[:] = 0.25, 0.04
    module = IntegerBatchNorm(norm, torch.tensor(0.01), whole(128), 128)
    codes = torch.arange(256, dtype=torch.int32)[:, None].repeat(1, 4)
    sums = module(codes)
    assert sums.abs().max() <= 2**30 + 128
    expected = norm.double()((codes - 128).double() * 0.01)
    assert torch.allclose(sums * module.scale, expected, atol=1e-5, rtol=1e-6)

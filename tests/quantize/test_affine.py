"""The affine map: by hand, and bit for bit beside torch's own kernels."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.affine import dequantize, fake_quantize, quantize
from lwlab.quantize.granularity import PerChannel
from lwlab.quantize.rounding import stochastic

INT4 = {"quant_min": -8, "quant_max": 7}
RANGES = [(-8, 7), (0, 15), (-128, 127), (0, 255), (-127, 127), (0, 1), (-1, 1), (0, 65535)]
EDGES = torch.tensor([0.0, -0.0, 1e-45, -1e-40, 1.2e-38, 1e30, -3e38, float("inf"), -float("inf")])


def same_bits(one, other):
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[one.element_size()]
    return one.dtype == other.dtype and torch.equal(one.view(integer), other.view(integer))


def random_case(seed):
    """Values in, half-way between and beyond the codes of a random grid."""
    generator = torch.Generator().manual_seed(seed)
    quant_min, quant_max = RANGES[seed % len(RANGES)]
    scale = float(torch.randn((), generator=generator).exp() * 10.0 ** (seed % 13 - 6))
    zero_point = int(torch.randint(quant_min, quant_max + 1, (), generator=generator))
    spread = (quant_max - quant_min) * scale
    values = torch.randn(200, generator=generator) * spread
    halves = (torch.arange(-20, 20) + 0.5) * scale
    return torch.cat([values, halves, EDGES]), scale, zero_point, quant_min, quant_max


def test_by_hand():
    x = torch.tensor([-0.3, 0.0, 0.26, 9.0, -9.0])
    codes = quantize(x, 0.1, 0, **INT4)
    assert codes.tolist() == [-3, 0, 3, 7, -8]
    assert codes.dtype == torch.int32
    assert quantize(x, 0.5, 3, quant_min=0, quant_max=15).tolist() == [2, 3, 4, 15, 0]
    assert dequantize(torch.tensor([2, 3, 15]), 0.5, 3).tolist() == [-0.5, 0.0, 6.0]
    assert fake_quantize(x, 0.25, 0, **INT4).tolist() == [-0.25, 0.0, 0.25, 1.75, -2.0]


@pytest.mark.parametrize("seed", range(60))
def test_one_scale_gives_torchs_bits(seed):
    x, scale, zero_point, low, high = random_case(seed)
    theirs = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high)
    assert same_bits(fake_quantize(x, scale, zero_point, quant_min=low, quant_max=high), theirs)
    codes = quantize(x, scale, zero_point, quant_min=low, quant_max=high)
    assert same_bits(dequantize(codes, torch.tensor(scale), zero_point), theirs)
    for end in (low, high):  # a zero point at the ends of the range
        theirs = torch.fake_quantize_per_tensor_affine(x, scale, end, low, high)
        assert same_bits(fake_quantize(x, scale, end, quant_min=low, quant_max=high), theirs)


@pytest.mark.parametrize("axis", [0, 1, 3])
@pytest.mark.parametrize("bounds", RANGES)
def test_one_scale_per_channel_gives_torchs_bits(axis, bounds):
    generator = torch.Generator().manual_seed(axis)
    x = torch.randn(4, 4, 5, 4, generator=generator) * 50
    scale = torch.rand(4, generator=generator) + 1e-3
    zero_point = torch.randint(bounds[0], bounds[1] + 1, (4,), generator=generator)
    zero_point[:2] = torch.tensor(bounds)
    zero_point = zero_point.to(torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(x, scale, zero_point, axis, *bounds)
    spread = PerChannel(axis).spread
    ours = fake_quantize(
        x,
        spread(scale, x.shape),
        spread(zero_point, x.shape),
        quant_min=bounds[0],
        quant_max=bounds[1],
    )
    assert same_bits(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_torchs_bits(dtype):
    x, scale, zero_point, low, high = random_case(8)
    x, scale = x.to(dtype), 0.037
    theirs = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high)
    assert same_bits(fake_quantize(x, scale, zero_point, quant_min=low, quant_max=high), theirs)


def test_double_precision_gives_the_bits_of_torchs_per_channel_kernel():
    x = torch.randn(3, 50, dtype=torch.float64) * 3
    scale, zero = torch.tensor([0.1, 0.25, 0.7]), torch.zeros(3, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(x, scale, zero, 0, -8, 7)
    torch.testing.assert_close(fake_quantize(x, scale[:, None], 0, **INT4), theirs)


@pytest.mark.parametrize("scale", [1.2e-38, 5e-39, 1e-30, 1e30])
def test_scales_at_the_ends_of_float32_give_torchs_bits(scale):
    x = torch.cat([EDGES, torch.linspace(-10, 10, 41) * scale])
    theirs = torch.fake_quantize_per_tensor_affine(x, scale, 0, -8, 7)
    assert same_bits(fake_quantize(x, scale, 0, **INT4), theirs)


def test_nan_stays_nan_where_torch_makes_it_the_smallest_code():
    x = torch.tensor([float("nan"), 1.0])
    assert fake_quantize(x, 1.0, 0, **INT4).isnan().tolist() == [True, False]
    assert torch.fake_quantize_per_tensor_affine(x, 1.0, 0, -8, 7)[0].item() == -8.0


@pytest.mark.parametrize("zero_point", [-(2**31), 2**31 - 1, 2**24 + 1])
def test_zero_is_on_the_grid_at_every_int32_zero_point(zero_point):
    ends = {"quant_min": -(2**31), "quant_max": 2**31 - 1}
    x = torch.zeros(1)
    assert fake_quantize(x, 1.0, zero_point, **ends).item() == 0.0
    codes = quantize(x, 1.0, zero_point, **ends)
    assert codes.tolist() == [zero_point]
    assert dequantize(codes, 1.0, zero_point).item() == 0.0


def test_the_gradient_is_torchs_and_stops_where_values_are_clipped():
    x, _, zero_point, low, high = random_case(2)
    ours, theirs = (x[:-2].clone().requires_grad_() for _ in range(2))
    gradient = torch.randn(len(ours))
    fake_quantize(ours, 0.5, zero_point, quant_min=low, quant_max=high).backward(gradient)
    torch.fake_quantize_per_tensor_affine(theirs, 0.5, zero_point, low, high).backward(gradient)
    assert torch.equal(ours.grad, theirs.grad)
    assert 0 < (theirs.grad == 0).sum() < len(theirs)


def test_the_gradient_to_the_scale_is_that_of_learned_step_size():
    x, scale = torch.tensor([0.3, -9.0, 9.0]), torch.tensor(0.5, requires_grad=True)
    for value, expected in zip(x, [round(0.6) - 0.6, -8.0, 7.0], strict=True):
        scale.grad = None
        fake_quantize(value, scale, 0, **INT4).backward()
        assert scale.grad.item() == pytest.approx(expected)


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=20), st.floats(2**-10, 2**10, width=32))
def test_fake_is_quantize_and_back_is_idempotent_and_near(values, scale):
    x = torch.tensor(values, dtype=torch.float32)
    ends = {"quant_min": -128, "quant_max": 127}
    fake = fake_quantize(x, scale, 5, **ends)
    assert torch.equal(fake, dequantize(quantize(x, scale, 5, **ends), scale, 5))
    assert torch.equal(fake, fake_quantize(fake, scale, 5, **ends))
    inside = (x / scale > -133) & (x / scale < 122)
    assert bool(((fake - x).abs()[inside] <= scale * 0.50001).all())


def test_another_rounding_can_be_given():
    x = torch.full((1000,), 0.25)
    codes = quantize(x, 1.0, 0, **INT4, rounding=stochastic(0))
    assert set(codes.tolist()) == {0, 1}
    assert torch.equal(fake_quantize(x, 1.0, 0, **INT4, rounding=stochastic(0)), codes.float())


def test_empty_tensors_stay_empty():
    assert quantize(torch.zeros(0, 3), 1.0, 0, **INT4).shape == (0, 3)
    no_channels = torch.zeros(0, 1), torch.zeros(0, 1, dtype=torch.int32)
    assert fake_quantize(torch.zeros(0, 3), *no_channels, **INT4).shape == (0, 3)


X = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            (torch.ones(2, dtype=torch.int64), 1.0, 0),
            TypeError,
            "x must be a floating-point tensor, got torch.int64.",
        ),
        (([1.0], 1.0, 0), TypeError, "x must be a floating-point tensor, got list."),
        ((X, 0.0, 0), ValueError, "scale must be finite and above 0, got 0.0."),
        ((X, -2.0, 0), ValueError, "scale must be finite and above 0, got -2.0."),
        ((X, float("nan"), 0), ValueError, "scale must be finite and above 0, got nan."),
        ((X, float("inf"), 0), ValueError, "scale must be finite and above 0, got inf."),
        (
            (X, 2.0**-140, 0),
            ValueError,
            (
                "scale must be large enough for 1 / scale to be finite, got 7.174648137343064e-43. "
                "Try at least 1.18e-38."
            ),
        ),
        ((X, 1.0, 0.5), TypeError, "zero_point must be whole (int32), got torch.float32."),
        (
            (X, 1.0, 8),
            ValueError,
            "zero_point must be a code from -8 to 7, so that 0 is on the grid, got 8.",
        ),
        (
            (X, torch.ones(2), 0),
            ValueError,
            (
                "scale must broadcast against x of shape (2, 3), got shape (2,). "
                "Try granularity.spread(scale, x.shape)."
            ),
        ),
        (
            (X[0], torch.ones(2, 3), 0),
            ValueError,
            (
                "scale must broadcast against x of shape (3,), got shape (2, 3). "
                "Try granularity.spread(scale, x.shape)."
            ),
        ),
    ],
)
@pytest.mark.parametrize("function", [quantize, fake_quantize])
def test_bad_input_gets_one_sentence(function, arguments, error, sentence):
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        function(*arguments, **INT4)


def test_codes_cannot_hold_nan_and_a_range_goes_upwards():
    sentence = "x must not hold NaN, got 1 NaN of 2 values."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        quantize(torch.tensor([1.0, float("nan")]), 1.0, 0, **INT4)
    sentence = "quant_min must be at most quant_max, got 7 and -8."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        quantize(X, 1.0, 0, quant_min=7, quant_max=-8)
    sentence = "codes must be a tensor of whole numbers, got torch.float32. Try quantize first."
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        dequantize(X, 1.0, 0)

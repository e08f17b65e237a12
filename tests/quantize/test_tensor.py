"""Quantized tensors: the codes, what they stand for, and what they cost."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.granularity import PerChannel, PerGroup, PerTensor
from lwlab.quantize.observers import MeanSquared, MinMax, Percentile
from lwlab.quantize.rounding import stochastic
from lwlab.quantize.tensor import TERNARY, quantize_tensor

GRANULARITIES = [PerTensor(), PerChannel(), PerChannel(1), PerGroup(9), PerGroup(3, axis=1)]
BITS = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, TERNARY])


def weight(seed=0, shape=(4, 6, 3, 3)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand():
    quantized = quantize_tensor(torch.tensor([0.1, -0.8, 1.4]), 4)
    assert quantized.codes.tolist() == [0, -4, 7]
    assert quantized.scale.tolist() == pytest.approx([0.2])
    assert quantized.dequantize().tolist() == pytest.approx([0.0, -0.8, 1.4])
    quantized = quantize_tensor(torch.tensor([[-1.0, 2.0], [3.0, 6.0]]), 2, PerChannel(),
                                symmetric=False)  # fmt: skip
    assert quantized.codes.tolist() == [[0, 3], [2, 3]]  # 3 / 2 = 1.5 rounds to the even 2
    assert quantized.zero_point.tolist() == [1, 0]


@pytest.mark.parametrize("granularity", GRANULARITIES, ids=repr)
@pytest.mark.parametrize("num_bits", [2, 4, 8])
def test_dequantized_is_fake_quantized_to_the_bit(granularity, num_bits):
    x = weight()
    for symmetric in (True, False):
        quantized = quantize_tensor(x, num_bits, granularity, symmetric=symmetric)
        fake = fake_quantize(
            x,
            granularity.spread(quantized.scale, x.shape),
            granularity.spread(quantized.zero_point, x.shape),
            quant_min=quantized.quant_min,
            quant_max=quantized.quant_max,
        )
        assert torch.equal(quantized.dequantize(), fake)
        assert quantized.shape == x.shape


def test_torch_gives_the_same_from_our_scales_per_channel():
    x = weight()
    quantized = quantize_tensor(x, 4, PerChannel())
    theirs = torch.fake_quantize_per_channel_affine(
        x, quantized.scale, quantized.zero_point, 0, -8, 7
    )
    assert torch.equal(quantized.dequantize(), theirs)


@given(BITS, st.sampled_from(GRANULARITIES), st.booleans(), st.integers(0, 99))
def test_few_distinct_values_and_zeros_stay_zeros(num_bits, granularity, symmetric, seed):
    x = weight(seed)
    x[x.abs() < 0.5] = 0.0
    quantized = quantize_tensor(x, num_bits, granularity, symmetric=symmetric)
    back = quantized.dequantize()
    assert bool((back[x == 0] == 0).all())
    levels = 3 if num_bits in (1, TERNARY) else 2**num_bits  # 1 bit, and the 0 of pruned ones
    for row in granularity.rows(back):
        assert len(row.unique()) <= levels
    assert quantized.quant_min <= quantized.codes.min() <= quantized.codes.max()
    assert quantized.codes.max() <= quantized.quant_max


def test_more_scales_and_more_bits_make_a_smaller_error():
    x = weight() * torch.logspace(-1, 1, 4)[:, None, None, None]

    def error(num_bits, granularity):
        return (quantize_tensor(x, num_bits, granularity).dequantize() - x).square().mean().item()

    by_granularity = [error(4, g) for g in (PerTensor(), PerChannel(), PerGroup(9), PerGroup(3))]
    assert by_granularity == sorted(by_granularity, reverse=True)
    by_bits = [error(bits, PerChannel()) for bits in (1, 3, 4, 5, 6, 7, 8)]
    assert by_bits == sorted(by_bits, reverse=True)


def test_the_range_rule_and_the_rounding_are_used():
    x = weight()
    plain, clipped = (quantize_tensor(x, 3, range_rule=r) for r in (MinMax(), Percentile(90)))
    assert clipped.scale.item() < plain.scale.item()
    rule = MeanSquared()
    best = quantize_tensor(x, 3, range_rule=rule)
    assert (best.dequantize() - x).square().sum() < (plain.dequantize() - x).square().sum()
    assert rule.num_groups is None
    random = quantize_tensor(x, 3, rounding=stochastic(0))
    assert not torch.equal(random.codes, plain.codes)
    assert (random.codes - plain.codes).abs().max() == 1


def test_storage_by_hand():
    x = weight(shape=(4, 10))
    assert quantize_tensor(x, 4).storage_bits() == 40 * 4 + 32
    assert quantize_tensor(x, 4, PerChannel()).storage_bits(scale_bits=16) == 40 * 4 + 4 * 16
    grouped = quantize_tensor(x, 3, PerGroup(5), symmetric=False)
    assert grouped.storage_bits() == 40 * 3 + 8 * 32 + 8 * 3
    assert quantize_tensor(x, TERNARY).storage_bits() == 40 * 2 + 32
    assert quantize_tensor(x, 1).storage_bits() == 40 + 32
    x[0] = 0.0  # pruned: a bit for each weight that says so, and signs for the other 30
    assert quantize_tensor(x, 1).storage_bits() == 40 + 30 + 32
    assert quantize_tensor(x, 1, symmetric=False).storage_bits() == 40 + 32 + 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_comes_back(dtype):
    for num_bits in (1, TERNARY, 8):
        quantized = quantize_tensor(weight().to(dtype), num_bits, PerChannel())
        assert quantized.dequantize().dtype == dtype
        assert quantized.scale.dtype == torch.float32


def test_a_constant_and_a_single_value_come_back():
    for x in (torch.full((2, 3), 0.7), torch.zeros(2, 3), torch.tensor([-2.0]), torch.tensor(3.0)):
        for num_bits in (1, 2, 8, TERNARY):
            torch.testing.assert_close(quantize_tensor(x, num_bits).dequantize(), x)


def test_one_element_groups_lose_nothing_but_the_last_bit():
    x = weight(shape=(4, 6))
    for num_bits in (1, 2, 4, TERNARY):
        back = quantize_tensor(x, num_bits, PerGroup(1)).dequantize()
        torch.testing.assert_close(back, x)


X = torch.ones(2, 6)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((X, 0), ValueError, "num_bits must be a whole number from 1 to 8, got 0."),
        ((X, 33), ValueError, "num_bits must be a whole number from 1 to 8, got 33."),
        ((X, 2.5), ValueError, "num_bits must be a whole number from 1 to 8, got 2.5."),
        (
            (X, "binary"),
            ValueError,
            "num_bits must be a whole number from 1 to 8 or 'ternary', got 'binary'.",
        ),
        (
            (X, 4, PerGroup(4)),
            ValueError,
            "size must divide the 6 values of a channel of shape (2, 6), got 4. Try 3.",
        ),
        (
            (torch.tensor([1.0, float("inf")]), 4),
            ValueError,
            "weight must be finite, got 1 NaN or infinite of 2 values (the first at index (1,)).",
        ),
        (
            (torch.ones(0, 3), 4),
            ValueError,
            "weight must hold at least one value, got shape (0, 3).",
        ),
        (
            (torch.ones(3, dtype=torch.int8), 4),
            TypeError,
            "weight must be a floating-point tensor, got torch.int8.",
        ),
    ],
)
def test_bad_input_gets_one_sentence(arguments, error, sentence):
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        quantize_tensor(*arguments)

"""The grid: codes by bits, and the scale that fits a range."""

import math
import re
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.grid import Grid, choose_qparams, quant_range

FLOATS = st.floats(-(2.0**126), 2.0**126, width=32)
GRIDS = [Grid(b, symmetric=s) for b in range(1, 9) for s in (True, False) if b > 1 or not s]


def test_the_codes_of_each_width():
    assert quant_range(1) == (-1, 0)
    assert quant_range(8) == (-128, 127)
    assert quant_range(8, signed=False) == (0, 255)
    for bits in range(1, 9):
        for signed in (True, False):
            low, high = quant_range(bits, signed=signed)
            assert high - low + 1 == 2**bits
    assert (Grid(4).signed, Grid(4, symmetric=False).signed) == (True, False)
    assert (Grid(4).middle, Grid(4, signed=False).middle) == (0, 8)


def test_scale_and_zero_point_by_hand():
    low, high = torch.tensor([-1.0]), torch.tensor([2.0])
    assert choose_qparams(low, high, Grid(3))[0].item() == pytest.approx(2 / 3)
    assert choose_qparams(low, high, Grid(3))[1].item() == 0
    scale, zero_point = choose_qparams(low, high, Grid(2, symmetric=False))
    assert (scale.item(), zero_point.item()) == (1.0, 1)
    scale, zero_point = choose_qparams(low, high, Grid(2, symmetric=False, signed=True))
    assert (scale.item(), zero_point.item()) == (1.0, -1)
    assert (scale.dtype, zero_point.dtype) == (torch.float32, torch.int32)


def test_a_range_is_extended_to_zero_and_a_constant_zero_gets_scale_one():
    scale, zero_point = choose_qparams(torch.tensor([1.0]), torch.tensor([3.0]), Grid(2, False))
    assert (scale.item(), zero_point.item()) == (1.0, 0)
    scale, zero_point = choose_qparams(torch.tensor([-3.0]), torch.tensor([-1.0]), Grid(2, False))
    assert (scale.item(), zero_point.item()) == (1.0, 3)
    for grid in GRIDS:
        assert choose_qparams(torch.zeros(2), torch.zeros(2), grid)[0].tolist() == [1.0, 1.0]


@given(FLOATS, FLOATS, st.sampled_from(GRIDS))
def test_zero_is_on_the_grid_and_the_whole_range_within_half_a_step(one, other, grid):
    low, high = torch.tensor(min(one, other)), torch.tensor(max(one, other))
    scale, zero_point = choose_qparams(low, high, grid)
    ends = {"quant_min": grid.quant_min, "quant_max": grid.quant_max}
    x = torch.stack([torch.zeros(()), low, high])
    moved = fake_quantize(x, scale, zero_point, **ends)
    assert moved[0].item() == 0.0
    assert grid.quant_min <= int(zero_point) <= grid.quant_max
    # Half a step for the value, half for the zero point that was rounded.
    assert bool(((moved - x).abs().double() <= 1.0001 * scale.double()).all())


def test_ranges_at_the_ends_of_float32_give_usable_scales():
    largest = torch.finfo(torch.float32).max
    for grid in GRIDS:
        for low, high in ((-largest, largest), (0.0, 1e-44), (-1e-40, 0.0)):
            scale, _ = choose_qparams(torch.tensor(low), torch.tensor(high), grid)
            assert 0 < scale.item() < math.inf
            assert math.isfinite((1 / scale).item())


@pytest.mark.parametrize("bits_and_dtype", [(8, torch.quint8)])
def test_asymmetric_parameters_are_those_of_torchs_observer(bits_and_dtype):
    from torch.ao.quantization.observer import MinMaxObserver

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MinMaxObserver(dtype=bits_and_dtype[1], qscheme=torch.per_tensor_affine)
    for seed in range(20):
        x = torch.randn(50, generator=torch.Generator().manual_seed(seed)) + seed / 5 - 2
        theirs.reset_min_max_vals()
        theirs(x)
        scale, zero_point = theirs.calculate_qparams()
        ours = choose_qparams(x.min(), x.max(), Grid(8, symmetric=False))
        torch.testing.assert_close(ours[0], scale.reshape(()))
        assert ours[1].item() == zero_point.item()


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: quant_range(0),
            ValueError,
            "num_bits must be a whole number from 1 to 8, got 0.",
        ),
        (lambda: Grid(33), ValueError, "num_bits must be a whole number from 2 to 8, got 33."),
        (lambda: Grid(1), ValueError, "num_bits must be a whole number from 2 to 8, got 1."),
        (
            lambda: Grid("4", False),
            TypeError,
            "num_bits must be a whole number from 1 to 8, got '4'.",
        ),
        (
            lambda: choose_qparams(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0]), Grid(4)),
            ValueError,
            "low must be at most high, got 2 and 1.",
        ),
        (
            lambda: choose_qparams(torch.tensor([0.0]), torch.tensor([math.inf]), Grid(4)),
            ValueError,
            "high must be finite, got 1 NaN or infinite of 1 values (the first at index (0,)).",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, error, sentence):
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        make()

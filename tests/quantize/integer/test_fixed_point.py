import random
import re
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.quantize.integer import multiply, to_fixed_point
from lwlab.quantize.integer.fixed_point import BLOCK, in_blocks

EDGES = [0, 1, -1, 2, -2, 2**30, -(2**30), 2**31 - 1, -(2**31), 12345, -54321]


def by_big_integers(x, mantissa, shift):
    exact = Fraction(x * mantissa, 2**shift) + Fraction(1, 2)
    return exact.numerator // exact.denominator


def test_a_multiplier_by_hand():
    assert [int(part) for part in to_fixed_point(0.75)] == [3 * 2**29, 31]
    assert [int(part) for part in to_fixed_point(0.375)] == [3 * 2**29, 32]
    assert [int(part) for part in to_fixed_point(3.0)] == [3 * 2**29, 29]
    assert [int(part) for part in to_fixed_point(1.0)] == [2**30, 30]


def test_a_fraction_that_rounds_up_to_one_becomes_one():
    assert [int(part) for part in to_fixed_point(1 - 2**-40)] == [2**30, 30]
    assert [int(part) for part in to_fixed_point(2**29 - 2**-10)] == [2**30, 1]


def test_halves_go_up_on_both_sides_of_zero():
    half = to_fixed_point(0.5)
    products = multiply(torch.tensor([1, -1, 3, -3, 2]), *half)  # 0.5, -0.5, 1.5, -1.5, 1
    assert products.tolist() == [1, 0, 2, -1, 1]


@given(
    st.integers(-(2**31), 2**31 - 1) | st.sampled_from(EDGES),
    st.floats(1e-25, 2**29, exclude_max=True),
)
def test_a_product_is_that_of_big_integers(x, multiplier):
    mantissa, shift = to_fixed_point(multiplier)
    assert 1 <= int(shift) <= 62
    expected = by_big_integers(x, int(mantissa), int(shift))
    assert int(multiply(torch.tensor([x], dtype=torch.int32), mantissa, shift)[0]) == expected


@given(st.floats(2**-31, 2**29, exclude_max=True))
def test_a_mantissa_has_31_bits_and_is_the_nearest(multiplier):
    mantissa, shift = (int(part) for part in to_fixed_point(multiplier))
    assert 2**30 <= mantissa < 2**31
    error = abs(Fraction(mantissa, 2**shift) / Fraction(multiplier) - 1)
    assert error <= Fraction(1, 2**31)


def test_many_random_products_with_a_multiplier_each():
    draw = random.Random(0)
    numbers = EDGES + [draw.randint(-(2**31), 2**31 - 1) for _ in range(2000)]
    multipliers = [2.0 ** draw.uniform(-70, 28.9) for _ in numbers]
    mantissa, shift = to_fixed_point(torch.tensor(multipliers, dtype=torch.float64))
    products = multiply(torch.tensor(numbers, dtype=torch.int32), mantissa, shift).tolist()
    parts = zip(numbers, mantissa.tolist(), shift.tolist(), strict=True)
    assert products == [by_big_integers(*part) for part in parts]


def test_a_multiplier_too_small_for_any_bit_gives_zero():
    mantissa, shift = to_fixed_point(2.0**-80)
    assert (int(mantissa), int(shift)) == (0, 62)
    assert int(multiply(torch.tensor(2**31 - 1), mantissa, shift)) == 0


def test_blocks_change_nothing():
    x = torch.arange(3 * BLOCK).reshape(6, -1)
    assert torch.equal(in_blocks(lambda part: part * 3, x), x * 3)
    assert torch.equal(in_blocks(lambda part: part * 3, x[:, :2]), x[:, :2] * 3)
    seen = []
    in_blocks(lambda part: seen.append(len(part)) or part, x)
    assert seen == [2, 2, 2]


@pytest.mark.parametrize("value", [0.0, -1.0, 2.0**29])
def test_a_multiplier_out_of_range_is_one_sentence(value):
    sentence = (
        f"multiplier must be above 0 and below 2^29, got {value!r}. Two scales that follow each "
        f"other lie too far apart."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        to_fixed_point(value)


def test_a_multiplier_that_is_no_number_is_one_sentence():
    sentence = (
        "multiplier must be finite, got 1 NaN or infinite of 1 values (the first at index ())."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        to_fixed_point(float("nan"))

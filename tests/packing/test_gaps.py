from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing.errors import Damage
from lwlab.packing.gaps import gaps_length, read_gaps, write_gaps


def mask_of(text):
    return np.array([character == "1" for character in text])


def slow_gaps(data, count):
    """The mask, from the docstring, bit by bit; fewer than 128 ones."""
    ones, low_bits = data[0], data[1]
    lowest_bytes = (ones * low_bits + 7) // 8
    bits = [byte >> i & 1 for byte in data[2 : 2 + lowest_bytes] for i in range(8)]
    rest = [byte >> i & 1 for byte in data[2 + lowest_bytes :] for i in range(8)]
    mask, place = [False] * count, -1
    for one in range(ones):
        gap = sum(bits[one * low_bits + i] << i for i in range(low_bits))
        while not rest.pop(0):
            gap += 1 << low_bits
        place += gap + 1
        mask[place] = True
    return mask


def test_the_gaps_of_the_docstring_are_these_very_bytes():
    mask = mask_of("00011000001")
    # three ones; the mean gap 8 / 3 makes r = 1; lowest bits 1 0 1; 01 1 001, lowest first
    assert write_gaps(mask) == bytes([3, 1, 0b101, 0b100110])
    assert read_gaps(memoryview(bytes([3, 1, 0b101, 0b100110])), 11).tolist() == mask.tolist()


@pytest.mark.parametrize("count", [0, 1, 9])
@pytest.mark.parametrize("value", [False, True])
def test_masks_of_one_value_come_back(count, value):
    mask = np.full(count, value)
    assert read_gaps(memoryview(write_gaps(mask)), count).tolist() == mask.tolist()
    assert write_gaps(np.zeros(100, np.bool_)) == b"\x00\x00"


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 3000),
    density=st.sampled_from([0.001, 0.01, 0.1, 0.5, 0.9, 1]),
)
def test_any_mask_comes_back_in_the_length_that_was_told(seed, count, density):
    mask = np.random.default_rng(seed).random(count) < density
    data = write_gaps(mask)
    assert len(data) == gaps_length(mask)
    assert np.array_equal(read_gaps(memoryview(data), count), mask)
    if mask.sum() < 128:
        assert slow_gaps(data, count) == mask.tolist()


@pytest.mark.parametrize("density", [0.01, 0.03, 0.1, 0.2])
def test_ones_at_random_take_at_most_a_twentieth_more_than_their_entropy(density):
    mask = np.random.default_rng(0).random(200_000) < density
    p = mask.mean()
    entropy = -mask.size * (p * np.log2(p) + (1 - p) * np.log2(1 - p)) / 8
    assert entropy < gaps_length(mask) < 1.05 * entropy


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "it declares 1 bytes where 0 are left"),
        ([9, 0], "its number of gaps is 9, above the limit of 8"),
        ([1, 9], "its gaps have 9 low bits, above the limit of 8"),
        ([2, 8, 1], "it declares 2 bytes where 1 are left"),
        ([1, 1, 2, 1], "its codes have bits set after the last one"),
        ([2, 0, 1], "its gaps do not end at the last of 2 ones"),
        ([1, 0, 1, 0], "its gaps do not end at the last of 1 ones"),
        ([1, 0, 0, 1], "its gaps lead to element 8 of 8"),
        ([1, 8, 255, 1], "its gaps lead to element 255 of 8"),
    ],
)
def test_what_makes_no_sense_is_named(data, sentence):
    with pytest.raises(Damage, match=f"^{re.escape(sentence)}$"):
        read_gaps(memoryview(bytes(data)), 8)


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=40), count=st.integers(0, 5000))
def test_any_bytes_are_read_or_refused_in_little_memory(data, count):
    tracemalloc.start()
    try:
        mask = read_gaps(memoryview(data), count)
        assert mask.size == count
    except Damage:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000

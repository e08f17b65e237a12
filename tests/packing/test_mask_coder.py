from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing import mask_coder
from lwlab.packing.errors import Damage
from lwlab.packing.mask_coder import decode_mask, encode_mask, estimate_mask_bytes
from lwlab.packing.range_coder import bound_bytes, encode_symbols


def random_mask(shape, fraction, seed=0):
    return np.random.default_rng(seed).random(shape) < fraction


def bound(mask):
    """n * H in bytes: the ones are anywhere."""
    return bound_bytes(np.bincount(mask.reshape(-1), minlength=2))


def pruned_like(rows=300, width=28, seed=0):
    """A first layer: each row keeps a spot of its image, which has an empty border."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:width, :width]
    masks = []
    for _ in range(rows):
        centre = generator.normal(width / 2, width / 6, 2)
        distance = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / generator.uniform(4, 40)
        masks.append(generator.random((width, width)) < 0.6 * np.exp(-distance))
    return np.array(masks).reshape(rows, -1)


@st.composite
def masks(draw):
    rows, columns = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    power = draw(st.sampled_from([0, 1, 4]))
    dense = np.outer(generator.random(rows) ** power, generator.random(columns) ** power)
    return generator.random((rows, columns)) < dense * draw(st.sampled_from([0, 0.1, 0.5, 1]))


GOLDEN = (296, 128, "030a38d5c8577b4c", "4d6c8077")
MODELS = [b"\1", b"\4", b"\x08", b"\2", b"\3\3", b"\3\x1c", b"\3\xff"]


@settings(deadline=None, max_examples=100)
@given(masks())
def test_a_mask_comes_back(mask):
    data = encode_mask(mask)
    decoded = decode_mask(memoryview(data), mask.shape)
    assert decoded.dtype == np.bool_
    assert np.array_equal(decoded, mask)


@settings(deadline=None, max_examples=100)
@given(masks(), st.sampled_from(MODELS))
def test_each_model_comes_back(mask, model):
    if mask.size:
        data = mask_coder._encoded(mask, model)
        assert data[: len(model)] == model
        assert np.array_equal(decode_mask(data, mask.shape), mask)


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (2, 1500), (1200, 3)])
def test_long_and_narrow_masks_come_back_with_each_model(shape):
    mask = random_mask(shape, 0.1)
    for model in MODELS:
        assert np.array_equal(decode_mask(mask_coder._encoded(mask, model), shape), mask)
    assert len(encode_mask(mask)) <= 1.01 * bound(mask) + 5


def test_a_mask_that_is_not_in_one_piece_comes_back():
    mask = pruned_like(20)[::2, ::3]
    assert not mask.flags.c_contiguous
    assert np.array_equal(decode_mask(encode_mask(mask), mask.shape), mask)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(16, 9), (10, 100), (100, 300), (300, 784)])
def test_random_masks_take_one_percent_and_a_few_bytes_more_than_the_bound(shape, fraction):
    mask = random_mask(shape, fraction)
    assert len(encode_mask(mask)) <= 1.01 * bound(mask) + 4


def test_stripes_take_far_less_than_the_bound():
    generator = np.random.default_rng(0)
    of_rows, of_columns = generator.beta(0.5, 3, 300), generator.beta(0.3, 3, 784)
    mask = generator.random((300, 784)) < np.minimum(3 * np.outer(of_rows, of_columns), 1)
    data = encode_mask(mask)
    assert data[0] == mask_coder._STRIPES
    assert len(data) < 0.75 * bound(mask)


def test_spots_in_images_take_less_than_stripes_and_the_width_is_found():
    mask = pruned_like()
    data = encode_mask(mask)
    assert data[:2] == bytes([mask_coder._NEIGHBOURS, 28])
    assert len(data) < 0.93 * len(mask_coder._encoded(mask, bytes([mask_coder._STRIPES])))
    assert len(data) < 0.8 * bound(mask)


def test_two_of_four_take_a_third_less():
    places = np.random.default_rng(0).random((3000, 4)).argsort(axis=1)
    mask = (places < 2).reshape(100, 120)
    data = encode_mask(mask)
    assert data[0] == 4
    assert len(data) < 0.66 * bound(mask)  # log2(6) / 4 = 0.646


def test_dead_rows_and_columns_cost_almost_nothing():
    alive = random_mask((100, 100), 0.3)
    mask = np.zeros((300, 300), np.bool_)
    mask[100:200, 50:150] = alive
    assert len(encode_mask(mask)) < 1.02 * bound(alive) + 200
    assert bound(mask) > 1.7 * bound(alive)


def test_empty_and_full_masks_take_a_byte_or_two():
    for value in (False, True):
        assert len(encode_mask(np.full((300, 784), value))) <= 6
    assert encode_mask(np.zeros((1, 1), np.bool_)) == b"\2"


def test_no_elements_take_no_bytes():
    for shape in ((0, 5), (5, 0), (0, 0)):
        mask = np.zeros(shape, np.bool_)
        assert encode_mask(mask) == b""
        assert estimate_mask_bytes(mask) == 0
        assert decode_mask(b"", shape).shape == shape
        with pytest.raises(Damage, match=r"^its mask takes 1 bytes where it needs none$"):
            decode_mask(b"\2", shape)


@settings(deadline=None, max_examples=50)
@given(masks())
def test_the_estimate_is_near_the_length(mask):
    assert estimate_mask_bytes(mask) == pytest.approx(len(encode_mask(mask)), abs=3)


def test_four_elements_are_one_number_the_first_lowest():
    mask = np.array([[1, 0, 1, 1, 0], [1, 0, 0, 0, 0]], np.bool_)
    assert mask_coder._grouped(mask, 4).tolist() == [0b1101, 0b0010, 0]
    assert mask_coder._grouped(mask, 8).tolist() == [0b00101101, 0]
    assert mask_coder._grouped(mask, 1).tolist() == [1, 0, 1, 1, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its mask has an unknown model"),
        (b"\0", "its mask has an unknown model"),
        (b"\5\0", "its mask has an unknown model"),
        (b"\3", "its mask has an unknown model"),
        (b"\3\2", "its mask has an unknown model"),
        (b"\2\0", "its mask is cut off, or followed by something else"),
        (b"\2\0\1", "its mask is cut off, or followed by something else"),
        (b"\1", "its codes have an unknown prior"),
        (b"\4" + encode_symbols(np.array([0, 4], np.uint8), 16), None),
        (
            b"\4" + encode_symbols(np.array([0, 8], np.uint8), 16),
            "its mask goes on after its last element",
        ),
    ],
)
def test_what_is_no_mask_is_damage(data, reason):
    if reason is None:
        assert decode_mask(data, (1, 7)).tolist() == [[False] * 6 + [True]]
        return
    with pytest.raises(Damage, match=f"^{re.escape(reason)}$"):
        decode_mask(data, (1, 7))


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([b"", *MODELS]),
    st.binary(max_size=16),
    st.integers(0, 12),
    st.integers(0, 300),
)
def test_bytes_from_anywhere_are_a_mask_or_damage(model, rest, rows, columns):
    with suppress(Damage):
        mask = decode_mask(model + rest, (rows, columns))
        assert mask.shape == (rows, columns)


@settings(deadline=None, max_examples=50)
@given(masks(), st.binary(min_size=1, max_size=4))
def test_with_bytes_too_many_or_too_few_it_is_never_the_same_mask(mask, more):
    data = encode_mask(mask)
    for other in (data + more, data[:-1]):
        if other != data:
            with suppress(Damage):
                assert not np.array_equal(decode_mask(other, mask.shape), mask)
    with pytest.raises(Damage):
        decode_mask(data + b"\0", mask.shape)


def test_bytes_written_once_are_read_for_ever():
    mask = pruned_like(12, width=10, seed=7)
    data = mask_coder._encoded(mask, b"\3\x0a")
    assert (mask.sum(), len(data), data[:8].hex(), data[-4:].hex()) == GOLDEN

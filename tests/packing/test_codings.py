from __future__ import annotations

import numpy as np
import pytest

from lwlab.packing.codings import CODINGS, smallest


def some_bits(size, nonzero, dtype="<u4"):
    bits = np.zeros(size, dtype)
    bits[:nonzero] = 7
    return bits


@pytest.mark.parametrize(
    ("size", "nonzero", "dtype", "name", "length"),
    [
        (32, 32, "<u4", "dense", 128),
        (32, 31, "<u4", "dense", 128),  # a bitmask would take 4 + 124 as well: a tie
        (32, 30, "<u4", "bitmask", 4 + 120),
        (8, 7, "<u1", "dense", 8),  # 1 + 7: a tie again
        (8, 6, "<u1", "bitmask", 1 + 6),
        (9, 0, "<u8", "bitmask", 2),
        (1, 0, "<u1", "dense", 1),
        (1, 0, "<u4", "bitmask", 1),
        (0, 0, "<u4", "dense", 0),
    ],
)
def test_the_smaller_coding_is_taken_and_dense_where_they_tie(size, nonzero, dtype, name, length):
    number, parts = smallest(some_bits(size, nonzero, dtype))
    assert (CODINGS[number].name, parts.size) == (name, length)
    assert len(b"".join(parts.buffers)) == length


def test_a_minus_zero_is_a_value_and_not_a_zero():
    bits = np.array([0.0] * 40 + [-0.0], dtype="<f4").view("<u4")
    number, parts = smallest(bits)
    assert CODINGS[number].name == "bitmask"
    assert parts.positions.tobytes() == bytes(5) + b"\x01"
    assert parts.values.tobytes() == b"\x00\x00\x00\x80"


def test_coding_numbers_in_files_never_change():
    assert {number: coding.name for number, coding in CODINGS.items()} == {0: "dense", 1: "bitmask"}


@pytest.mark.parametrize("coding", CODINGS.values(), ids=lambda coding: coding.name)
def test_encode_gives_nothing_unless_it_stays_below_the_limit(coding):
    bits = some_bits(32, 3)
    size = coding.encode(bits, 10**6).size
    assert coding.encode(bits, size) is None
    assert coding.encode(bits, size + 1).size == size

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing.errors import Damage
from lwlab.packing.varint import Reader, varint


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "00"), (5, "05"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**63 - 1, "ff" * 8 + "7f")],
)
def test_varint_holds_seven_bits_a_byte_lowest_first(number, expected):
    assert varint(number).hex() == expected


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_what_varint_writes_the_reader_reads_to_the_last_byte(number):
    reader = Reader(memoryview(varint(number) + b"x"))
    assert reader.varint("size", 2**63 - 1) == number
    assert reader.left == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it declares 1 bytes where 0 are left"),
        (b"\x80", "it declares 1 bytes where 0 are left"),
        (b"\x80\x00", "its size is not in shortest form"),
        (b"\xff" * 9 + b"\x01", "its size is longer than 9 bytes"),
        (b"\x80\x01", "its size is 128, above the limit of 127"),
    ],
)
def test_a_varint_that_is_cut_overlong_or_too_large_is_damage(data, reason):
    with pytest.raises(Damage) as caught:
        Reader(memoryview(data)).varint("size", 127)
    assert str(caught.value) == reason


def test_the_reader_takes_no_more_than_is_left_and_does_not_copy():
    data = bytearray(b"abc")
    reader = Reader(memoryview(data), position=1)
    taken = reader.take(2)
    data[1] = ord("z")
    assert bytes(taken) == b"zc"
    with pytest.raises(Damage) as caught:
        reader.take(1)
    assert str(caught.value) == "it declares 1 bytes where 0 are left"

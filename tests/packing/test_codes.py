from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing.codes import check_codes, codes_length, pack_codes, unpack_codes
from lwlab.packing.errors import Damage


def test_three_codes_of_three_bits_by_hand():
    # lowest bit first: 100 010 11|0 -> 0b11010001, 0b0
    packed = pack_codes(np.array([1, 2, 3], np.uint8), 3)
    assert packed.tobytes().hex() == "d100"
    assert unpack_codes(packed.tobytes(), 3, 3).tolist() == [1, 2, 3]


def test_two_codes_of_four_bits_share_a_byte_the_first_in_its_lower_half():
    assert pack_codes(np.array([1, 15, 7], np.uint8), 4).tobytes().hex() == "f107"


def slowly_packed(codes, width):
    """All bits in one large number, the first code lowest."""
    number = sum(code << index * width for index, code in enumerate(codes))
    return number.to_bytes(-(-len(codes) * width // 8), "little")


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(0, 8))
def test_codes_of_every_width_are_packed_as_one_large_number_and_come_back(data, width):
    codes = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=40))
    array = pack_codes(np.array(codes, np.uint8), width)
    assert array.flags.c_contiguous
    packed = array.tobytes()
    assert packed == slowly_packed(codes, width)
    assert len(packed) == codes_length(len(codes), width)
    assert unpack_codes(packed, len(codes), width).tolist() == codes
    check_codes(memoryview(packed), len(codes), width)


@pytest.mark.parametrize(("count", "width"), [(1, 1), (7, 1), (1, 3), (3, 3), (3, 5), (1, 7)])
def test_a_bit_set_after_the_last_code_is_damage(count, width):
    packed = bytearray(codes_length(count, width))
    used = count * width % 8
    packed[-1] = 2**used - 1
    check_codes(memoryview(packed), count, width)
    packed[-1] = 2**used
    with pytest.raises(Damage, match=r"^its codes have bits set after the last one$"):
        check_codes(memoryview(packed), count, width)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.packing.bits import bitmask_length, check_bitmask, count_ones, pack_bits, unpack_bits
from lwlab.packing.errors import Damage


def test_pack_bits_puts_the_first_element_into_the_lowest_bit():
    mask = np.array([1, 0, 1, 1, 0, 0, 0, 0, 1], dtype=bool)
    assert pack_bits(mask).tobytes().hex() == "0d01"


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=70))
def test_a_mask_comes_back_with_its_count_and_length(mask):
    bitmask = memoryview(pack_bits(np.array(mask, dtype=bool)))
    assert unpack_bits(bitmask, len(mask)).tolist() == mask
    assert count_ones(bitmask) == sum(mask)
    assert len(bitmask) == bitmask_length(len(mask)) == -(-len(mask) // 8)
    check_bitmask(bitmask, len(mask))


@pytest.mark.parametrize("count", range(1, 8))
def test_a_bit_set_after_the_last_element_is_damage(count):
    check_bitmask(memoryview(bytes([2**count - 1])), count)
    with pytest.raises(Damage, match=r"^a bitmask has bits set after its last element$"):
        check_bitmask(memoryview(bytes([2**count])), count)

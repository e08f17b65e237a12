from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab import packing
from lwlab.packing.patterns import find_patterns, sampled_patterns

SECOND = {"bitmask", "palette", "scaled"}  # the families of format 2


def row_of(bag, tensor):
    packed = packing.to_bytes(bag({"w": tensor}), codings=SECOND)
    [row] = packing.breakdown(packed).tensors
    model = bag({"w": torch.zeros_like(tensor)})
    packing.from_bytes_(model, packed)
    assert torch.equal(model.w, tensor)
    return row, packed


def test_three_values_take_a_table_and_two_bits_each(bag, reference):
    tensor = torch.tensor([0.5, 2.0, 0.5, 1.0, 2.0, 0.5, 0.5, 0.5, 1.0])
    row, packed = row_of(bag, tensor)
    # ascending by bits: 0.5, 1, 2 are 0, 1, 2; four indices a byte, the first lowest
    payload = bytes.fromhex("02 0000003f 0000803f 00000040  48 02 01".replace("  ", " "))
    assert packed == reference.sealed(
        b"LWLB\x02\x01" + reference.entry(b"w", 0x40, (9,), len(payload)) + payload
    )
    assert (row.coding, row.codebook_bytes, row.values_bytes) == ("palette", 13, 3)


def test_zeros_leave_the_table_where_they_are_most(bag, reference):
    tensor = torch.zeros(80)
    tensor[3], tensor[8], tensor[9] = 1.0, 2.0, 2.0
    tensor[16:24] = 1.0
    row, packed = row_of(bag, tensor)
    payload = bytes.fromhex("01 0000803f 00000040") + bytes([8, 3, 255]) + bytes(7) + b"\x06\x00"
    assert packed == reference.sealed(
        b"LWLB\x02\x01" + reference.entry(b"w", 0x50, (80,), len(payload)) + payload
    )
    assert (row.coding, row.codebook_bytes, row.positions_bytes, row.values_bytes) == (
        "sparse palette", 9, 10, 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (256, 8)]
)
def test_an_index_has_as_many_bits_as_the_patterns_need(bag, patterns, bits):
    tensor = 1.0 + torch.arange(4099) % patterns
    row, _ = row_of(bag, tensor)
    assert row.coding == "palette"
    assert (row.codebook_bytes, row.values_bytes) == (1 + 4 * patterns, -(-4099 * bits // 8))


def test_257_patterns_are_too_many(bag):
    assert row_of(bag, 1.0 + torch.arange(4099) % 257)[0].coding == "dense"


def test_one_value_alone_takes_no_bits_up_to_1024_elements_and_then_one(bag):
    assert row_of(bag, torch.ones(1024))[0].values_bytes == 0
    assert row_of(bag, torch.ones(1025))[0].values_bytes == 129


def test_flags_take_a_bit_each(bag):
    flags = torch.rand(800, generator=torch.Generator().manual_seed(0)) < 0.5
    row, _ = row_of(bag, flags)
    assert (row.coding, row.codebook_bytes, row.values_bytes) == ("sparse palette", 2, 0)
    assert row.positions_bytes == 100


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    patterns=st.integers(1, 300),
    size=st.integers(0, 3000),
    item=st.sampled_from([1, 2, 4, 8]),
    rare=st.booleans(),
)
def test_the_search_finds_what_np_unique_finds(seed, patterns, size, item, rare):
    generator = np.random.default_rng(seed)
    pool = generator.integers(0, 256, (patterns, item), dtype=np.uint8).view(f"<u{item}")[:, 0]
    chosen = generator.integers(0, patterns, size)
    flat = pool[chosen * (generator.random(size) < 0.02) if rare else chosen]
    table, indices = np.unique(flat, return_inverse=True)
    found = find_patterns(flat, sampled_patterns(flat))
    if len(table) > 256:
        assert found is None
    else:
        assert np.array_equal(found.table, table)
        assert np.array_equal(found.indices, indices)


def test_a_sample_that_misses_patterns_is_no_reason_for_a_wrong_table(bag):
    tensor = torch.ones(100_000)
    tensor[torch.arange(1, 99_991, 10_001)] = torch.arange(10.0) + 2
    assert row_of(bag, tensor)[0].codebook_bytes == 1 + 4 * 11

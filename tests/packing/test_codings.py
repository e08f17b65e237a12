from __future__ import annotations

import numpy as np
import pytest
import torch

from lwlab.packing.coding import Content
from lwlab.packing.codings import CODINGS, smallest
from lwlab.packing.rows import Rows
from lwlab.packing.stored import ScaledCodes
from lwlab.packing.tensors import STORED_TYPES, TensorSpec

FLOAT32, INT64, UINT8 = STORED_TYPES[0], STORED_TYPES[9], STORED_TYPES[5]


SECOND = frozenset({"bitmask", "palette", "scaled"})  # the families of format 2


def some_content(size, nonzero, stored=FLOAT32):
    """Distinct non-zero numbers, then zeros."""
    bits = np.zeros(size, stored.bits)
    bits[:nonzero] = np.arange(1, nonzero + 1)
    return Content(bits, stored, families=SECOND)


@pytest.mark.parametrize(
    ("size", "nonzero", "stored", "name", "length"),
    [
        (32, 32, FLOAT32, "dense", 128),
        (32, 31, FLOAT32, "dense", 128),  # a bitmask would take 4 + 124 as well: a tie
        (32, 30, FLOAT32, "bitmask", 4 + 120),
        (8, 7, UINT8, "dense", 8),  # 1 + 7: a tie again
        (8, 6, UINT8, "bitmask", 1 + 6),
        (9, 0, INT64, "bitmask", 2),
        (1, 0, UINT8, "dense", 1),
        (1, 0, FLOAT32, "bitmask", 1),
        (0, 0, FLOAT32, "dense", 0),
        (40, 0, FLOAT32, "bitmask", 5),  # a table of one pattern takes 5 as well
        (41, 0, FLOAT32, "palette", 1 + 4),
        (1024, 0, FLOAT32, "palette", 1 + 4),
        (1025, 0, FLOAT32, "bitmask", 129),
    ],
)
def test_the_smaller_coding_is_taken_and_the_older_one_where_they_tie(
    size, nonzero, stored, name, length
):
    number, parts = smallest(some_content(size, nonzero, stored))
    assert (CODINGS[number].name, parts.size) == (name, length)
    assert len(b"".join(parts.buffers)) == length


def test_a_minus_zero_is_a_value_and_not_a_zero():
    bits = np.array([0.0] * 40 + [-0.0], dtype="<f4").view("<u4")
    number, parts = smallest(Content(bits, FLOAT32, families=SECOND))
    assert CODINGS[number].name == "bitmask"
    assert parts.positions.tobytes() == bytes(5) + b"\x01"
    assert parts.values.tobytes() == b"\x00\x00\x00\x80"


def test_coding_numbers_in_files_never_change():
    assert {number: (coding.name, coding.since) for number, coding in CODINGS.items()} == {
        0: ("dense", 1),
        1: ("bitmask", 1),
        2: ("scaled", 2),
        3: ("sparse scaled", 2),
        4: ("palette", 2),
        5: ("sparse palette", 2),
        6: ("half", 3),
        7: ("composed", 3),
    }


def quantized_content():
    """3 rows of 32 codes of 4 bits, half of them zero."""
    codes = torch.arange(96).reshape(3, 32) % 8 * (torch.arange(96).reshape(3, 32) % 2)
    scale = torch.tensor([0.25, 0.5, 1.0])
    form = ScaledCodes(codes, scale, torch.zeros(3, dtype=torch.int32), 4, Rows(0))
    return Content((codes * scale[:, None]).numpy().view("<u4"), FLOAT32, form)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=lambda coding: coding.name)
def test_encode_gives_nothing_unless_it_stays_below_the_limit(coding):
    content = quantized_content()
    size = coding.encode(content, 10**6).size
    assert coding.encode(content, size) is None
    above = 1.2 * size if coding.name == "composed" else size + 1  # lengths are estimated first
    assert coding.encode(content, above).size == size


@pytest.mark.parametrize("coding", CODINGS.values(), ids=lambda coding: coding.name)
def test_each_coding_gives_the_bits_back(coding):
    content, spec = quantized_content(), TensorSpec("w", FLOAT32, (3, 32))
    payload = memoryview(b"".join(coding.encode(content, 10**6).buffers))
    parts = coding.split(payload, spec)
    assert b"".join(parts.buffers) == payload
    assert np.array_equal(coding.decode(parts, spec), content.flat)

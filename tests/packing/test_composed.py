from __future__ import annotations

import contextlib
import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lwlab import packing
from lwlab.packing import PackingError, Rows, ScaledCodes
from lwlab.packing.coding import Content
from lwlab.packing.composed import COMPOSED
from lwlab.packing.errors import Damage
from lwlab.packing.form import Form
from lwlab.packing.tensors import bits_of, spec_of

AGAIN = ". Copy the file again, or save the model again."
ONE, HALF_ONE = b"\x00\x00\x80\x3f", b"\x00\x3c"  # 1.0 in float32 and float16
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.bool]


def row_of(bag, tensor, codings=None):
    """Pack, load, compare to the bit; the row of the breakdown."""
    data = packing.to_bytes(bag({"w": tensor}), codings=codings)
    model = bag({"w": torch.zeros_like(tensor)})
    packing.from_bytes_(model, data)
    assert packing.to_bytes(model) == packing.to_bytes(bag({"w": tensor}))
    [row] = packing.breakdown(data).tensors
    return row


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sparse(shape, density, values=None, seed=0):
    kept = torch.rand(shape, generator=generator(seed)) < density
    if values is None:
        return torch.where(kept, torch.randn(shape, generator=generator(seed + 1)), 0)
    picks = torch.randint(len(values), shape, generator=generator(seed + 1))
    return torch.where(kept, torch.tensor(values)[picks], 0)


def test_a_palette_of_two_symbols_in_one_bit_each_is_these_very_bytes(bag, reference):
    """Elements 1 and 2 in float16, no positions, symbols packed: 0b1000001."""
    payload = bytes([0b1000001, 1]) + HALF_ONE + b"\x00\x40" + bytes([0b1101])
    data = reference.file((b"w", 0x70, (4,), payload), version=3)
    model = bag({"w": torch.zeros(4)})
    packing.from_bytes_(model, data)
    assert model.w.tolist() == [2.0, 1.0, 2.0, 2.0]
    [row] = packing.breakdown(data).tensors
    assert (row.coding, row.other_bytes, row.codebook_bytes, row.values_bytes) == (
        "palette",
        1,
        5,
        1,
    )
    assert row.bound_bytes == pytest.approx((math.log2(4) + 3 * math.log2(4 / 3)) / 8)


def test_steps_with_gaps_are_these_very_bytes(bag, reference):
    """Steps 0 0 0 -1 2 0 of scale 0.5: scaled, gaps, packed; 0b001010."""
    codebook = b"\x00\x00\x00\x00\x3f" + bytes([1, 2])  # one row, 0.5, from -1 to 2
    gaps = bytes([2, 0, 0b11000])  # two ones, no low bits, three zeros and a one and a one
    symbols = bytes([2 << 2 | 0])  # -1, 1 and 2 are 0, 1 and 2: two bits each
    payload = bytes([0b001010]) + codebook + bytes([len(gaps)]) + gaps + symbols
    model = bag({"w": torch.zeros(6)})
    packing.from_bytes_(model, reference.file((b"w", 0x70, (6,), payload), version=3))
    assert model.w.tolist() == [0, 0, 0, -0.5, 1.0, 0]


def test_each_way_is_taken_where_it_is_the_shortest(bag):
    weights = torch.randn(64, 100, generator=generator())
    assert row_of(bag, weights).coding == "dense"
    assert row_of(bag, weights.half().float()).coding == "half"
    assert row_of(bag, sparse((64, 100), 0.1)).coding == "plain + mask"
    assert row_of(bag, sparse((64, 100), 0.1).half().float()).coding == "half + mask"
    few = sparse((64, 100), 0.9, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.2])
    assert row_of(bag, few).coding == "palette + mask + range"
    assert row_of(bag, few, {"palette", "range"}).coding == "palette + range"
    assert row_of(bag, few, {"palette", "huffman"}).coding == "palette + huffman"
    assert row_of(bag, sparse((64, 100), 0.02, [0.3, 0.7]), {"gaps", "palette"}).coding == (
        "palette + gaps"
    )


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.lists(st.integers(1, 12), max_size=3),
    dtype=st.sampled_from(DTYPES),
    patterns=st.sampled_from([1, 2, 3, 16, 17, 200, 1000]),
    density=st.sampled_from([0.02, 0.1, 0.5, 1]),
    families=st.sets(st.sampled_from(packing.CODING_FAMILIES)),
)
def test_any_tensor_comes_back_to_the_bit_with_any_families(
    bag, raw, seed, shape, dtype, patterns, density, families
):
    random = np.random.default_rng(seed)
    pool = torch.from_numpy(random.normal(size=patterns) * 9).to(dtype)
    picks = torch.from_numpy(np.asarray(random.integers(0, patterns, shape)))
    kept = torch.from_numpy(np.asarray(random.random(shape) < density))
    tensor = torch.where(kept, pool[picks], torch.zeros((), dtype=dtype))
    data = packing.to_bytes(bag({"w": tensor}), codings=families)
    model = bag({"w": torch.ones_like(tensor)})
    packing.from_bytes_(model, data)
    assert raw(model.w) == raw(tensor)
    [row] = packing.breakdown(data).tensors
    needed = {"half": "half", "plain": None, "dense": None, "sparse": "bitmask", "+": None}
    used = {needed.get(word, word) for word in row.coding.split()} - {None}
    assert used <= families


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("rows", [Rows(), Rows(0), Rows(1), Rows(0, 6)])
@pytest.mark.parametrize("density", [0.1, 0.6, 1])
def test_steps_and_scales_come_back_to_the_bit_in_every_composition(dtype, rows, density):
    shape = (8, 20, 12)
    groups, length = rows.sizes(shape)
    random = np.random.default_rng(5)
    kept = random.random((groups, length)) < density
    codes = np.clip(np.rint(random.laplace(size=kept.shape) * 1.5), -7, 7).astype(np.int64) * kept
    scale = random.uniform(0.5, 1, groups).astype(np.float32)
    if rows.size:
        scale = scale.astype(np.float16).astype(np.float32)
    tensor = torch.from_numpy(rows.join(codes * scale[:, None], shape).astype(np.float32)).to(dtype)
    form = ScaledCodes(
        torch.from_numpy(rows.join(codes, shape).copy()), torch.from_numpy(scale),
        torch.zeros(groups, dtype=torch.int64), 4, rows,
    )  # fmt: skip
    spec, seen = spec_of("w", tensor), set()
    for positions, symbols, half in itertools.product(
        [(), ("bitmask",), ("gaps",), ("mask",)], [(), ("huffman",), ("range",)], [(), ("half",)]
    ):
        families = frozenset(("scaled", *positions, *symbols, *half))
        content = Content(bits_of(tensor, spec.stored), spec.stored, form, families)
        parts = COMPOSED.encode(content, 10**6)
        if parts is None:  # nothing that format 2 has not
            assert not families - {"scaled", "bitmask"}
            continue
        again = COMPOSED.split(memoryview(b"".join(parts.buffers)), spec)
        assert [bytes(b) for b in again.buffers] == [bytes(b) for b in parts.buffers]
        assert np.array_equal(COMPOSED.decode(again, spec), content.flat)
        seen.add(COMPOSED.label(parts))
    ways = {
        " + ".join(("scaled", *coder)) for coder in (("huffman",), ("range",), ("mask", "range"))
    }
    assert len(ways & seen) >= 2
    assert len(seen) > 4


@pytest.mark.parametrize("tensor", [
    torch.zeros(1), torch.zeros(()), torch.zeros(0), torch.zeros(0, 3), torch.ones(1),
    torch.ones(3_000_000), torch.zeros(3_000_000), torch.zeros(2000, 100).index_fill(
        0, torch.tensor([3, 1999]), 0.3), torch.full((70, 70), float("nan")),
    torch.zeros(4000).index_fill(0, torch.tensor([2]), -0.0),
], ids=lambda tensor: f"{tuple(tensor.shape)}")  # fmt: skip
def test_tensors_of_one_value_or_none_or_whole_rows_of_zeros_come_back(bag, tensor, raw):
    data = packing.to_bytes(bag({"w": tensor}))
    model = bag({"w": torch.full_like(tensor, 7)})
    packing.from_bytes_(model, data)
    assert raw(model.w) == raw(tensor)
    assert len(data) < 40 + 4 + tensor.numel() / 1000 * (1 if tensor.numel() > 10_000 else 100)


def test_a_payload_has_a_byte_for_every_1024_elements(bag):
    row = row_of(bag, torch.zeros(1_000_000))
    assert (row.coding, row.other_bytes) == ("palette", 1 + math.ceil(1_000_000 / 1024))
    assert row_of(bag, torch.zeros(4096)).other_bytes == 1  # 4 bytes are there without it


SCALE = b"\x00\x00\x80\x3f"


@pytest.mark.parametrize(
    ("kind", "shape", "payload", "reason"),
    [
        (0x70, (8,), b"", "'w' has 0 bytes for 8 elements"),
        (0x70, (0,), b"\x01", "'w' has 1 bytes for 0 elements"),
        (0x70, (1025,), b"\x01", "'w' has 1 bytes for 1025 elements"),
        (0x70, (2**62, 4), b"\x01" * 9, f"'w' has 9 bytes for {2**64} elements"),
        (0x70, (8,), b"\x03", "it has a tensor of the unknown form 3"),
        (0x70, (8,), b"\x00", "it has a tensor of the unknown form 0"),
        (0x70, (8,), b"\x14", "it has a tensor of the unknown form 20"),
        (0x70, (8,), b"\x31", "it has a tensor of the unknown form 49"),
        (0x70, (8,), b"\x81\x01", "'w' is filled up with bytes that are not zero"),
        (0x70, (8,), b"\x81", "it declares 1 bytes where 0 are left"),
        (0x70, (8,), b"\x01\x01" + ONE, "it declares 8 bytes where 4 are left"),
        (0x71, (8,), b"\x41\x00" + HALF_ONE, "'w' is in half precision, which float64 cannot be"),
        (0x71, (8,), b"\x44\x01\x00", "'w' is in half precision, which float64 cannot be"),
        (0x75, (8,), b"\x02\x00" + SCALE, "'w' has scales, which uint8 cannot have"),
        (0x70, (8,), b"\x02\x03" + SCALE, "'w' has rows of the unknown kind 3"),
        (0x70, (8,), b"\x02\x01\x01" + SCALE, "'w' has scales that do not fit its shape"),
        (0x70, (8,), b"\x02\x00" + bytes(6), "'w' has a scale that is not finite or not above 0"),
        (0x70, (8,), b"\x02\x00" + SCALE + b"\xff\x01", "'w' has 257 steps, above 256"),
        (0x70, (8,), b"\x09\x00" + ONE + b"\x09",
         "its positions length is 9, above the limit of 7"),
        (0x60, (2,), ONE[1:], "'w' has 3 bytes, which does not fit its shape"),
        (0x61, (2,), ONE, "'w' is in half precision, which float64 cannot be"),
    ],
)  # fmt: skip
def test_each_lie_that_is_seen_without_unpacking_is_named(reference, kind, shape, payload, reason):
    data = reference.file((b"w", kind, shape, payload), version=3)
    with pytest.raises(PackingError, match=f"^{re.escape(f'data is damaged: {reason}{AGAIN}')}$"):
        packing.breakdown(data)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x01\x01" + ONE + SCALE + b"\x01\x01", "it has 2 bytes of symbols where it needs 1"),
        (b"\x01\x02" + 3 * ONE + b"\xff\xff", "it has the symbol 3 of 3"),
        (b"\x04\x01\x03" + ONE, "'w' has 1 values for 2 non-zero elements"),
        (b"\x04\x01\x03" + ONE[1:], "'w' has 3 bytes, which does not fit its shape"),
        (b"\x06\x00" + SCALE + b"\x00\x00\x01\x01",
         "'w' has 1 elements that are not zero and no code for them"),
        (b"\x05\xff" + 256 * ONE + b"\x01\x01", "'w' has a table of 256 entries beside the zero"),
        (b"\x05\x00" + ONE + b"\x02\x01\x00", "its bitmask has 2 bytes where it needs 1"),
    ],
)  # fmt: skip
def test_each_lie_that_is_seen_in_unpacking_is_named(reference, bag, payload, reason):
    data = reference.file((b"w", 0x70, (8,), payload), version=3)
    model = bag({"w": torch.ones(8)})
    with pytest.raises(PackingError, match=f"^{re.escape(f'data is damaged: {reason}{AGAIN}')}$"):
        packing.from_bytes_(model, data)
    assert bool((model.w == 1).all())
    with contextlib.suppress(PackingError):
        packing.breakdown(data)


def test_the_ways_of_a_form_are_its_byte_and_its_name():
    form = Form(2, 3, 2, half=True)
    assert form.byte == 2 + 4 * 3 + 16 * 2 + 64
    assert Form.of(form.byte) == form
    assert str(form) == "scaled + mask + range"
    assert str(Form(0, 2, 0, half=True)) == "half + gaps"
    known = 0
    for byte in range(256):
        try:
            assert Form.of(byte).byte == byte
        except Damage:
            continue
        known += 1
    # 2 kinds of elements with 4 kinds of positions and 3 of symbols, plain ones with 3 of positions
    assert known == (2 * 4 * 3 + 3) * 2 * 2


def test_families_of_format_2_alone_give_files_of_format_2(bag):
    model = bag({"w": sparse((64, 100), 0.1, [0.3, 0.7, 0.2])})
    assert packing.to_bytes(model)[4] == 3
    assert packing.to_bytes(model, codings={"bitmask", "palette", "scaled"})[4] == 2
    assert packing.to_bytes(model, codings={"bitmask"})[4] == 1
    assert packing.to_bytes(model, codings=[])[4] == 1


NAMES = "'half', 'bitmask', 'gaps', 'mask', 'palette', 'scaled', 'huffman' or 'range'"
ALONE = "For one name alone write {'palette'}."


@pytest.mark.parametrize(
    ("codings", "error", "sentence"),
    [
        ({"hufman"}, ValueError, f"names out of {NAMES}, got 'hufman'. Did you mean 'huffman'?"),
        ("palette", TypeError, f"a set of names out of {NAMES}, got 'palette'. {ALONE}"),
        (3, TypeError, f"a set of names out of {NAMES}, got 3. {ALONE}"),
    ],
)
def test_unknown_families_are_refused_before_a_file_is_touched(tmp_path, codings, error, sentence):
    path = tmp_path / "model.lwlab"
    for call in (
        lambda: packing.to_bytes(nn.Linear(2, 2), codings=codings),
        lambda: packing.save(nn.Linear(2, 2), path, codings=codings),
    ):
        with pytest.raises(error, match=f"^{re.escape(f'codings must be {sentence}')}$"):
            call()
    assert not path.exists()


def test_save_takes_families_too(tmp_path):
    layer = nn.Linear(9, 9)
    nn.init.ones_(layer.weight)
    assert packing.save(layer, tmp_path / "a", codings=()) > packing.save(layer, tmp_path / "b")

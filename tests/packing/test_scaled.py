from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from lwlab import packing
from lwlab.packing.coding import Content
from lwlab.packing.rows import Rows
from lwlab.packing.scaled import SCALED, SPARSE_SCALED
from lwlab.packing.stored import ScaledCodes
from lwlab.packing.tensors import bits_of, spec_of

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


class Described(nn.Module):
    """A parametrization that gives a fixed tensor and says something of it."""

    def __init__(self, tensor, form):
        super().__init__()
        self.tensor, self.form = tensor, form

    def forward(self, weight):
        return self.tensor

    def stored_form(self, weight):
        return self.form


def spread(per_row, rows, shape):
    """One number per row, put where its elements are."""
    return torch.from_numpy(rows.join(np.repeat(per_row, rows.sizes(shape)[1]), shape).copy())


def described(form, dtype=torch.float32, tensor=None):
    """A module whose ``w`` is what ``form`` says, or ``tensor``."""
    if tensor is None:
        shape = tuple(form.codes.shape)
        points = spread(form.zero_point.numpy(), form.rows, shape)
        scales = spread(form.scale.numpy(), form.rows, shape)
        tensor = ((form.codes - points).float() * scales).to(dtype)
    model = nn.Module()
    model.w = nn.Parameter(torch.zeros_like(tensor))
    parametrize.register_parametrization(model, "w", Described(tensor, form))
    return model, tensor


def packed_row(form, raw, dtype=torch.float32, tensor=None):
    """Pack, load into a plain model, compare to the bit; the row of the breakdown and the file."""
    model, tensor = described(form, dtype, tensor)
    data = packing.to_bytes(model, codings={"bitmask", "palette", "scaled"})  # of format 2
    plain = nn.Module()
    plain.w = nn.Parameter(torch.zeros_like(tensor))
    packing.from_bytes_(plain, data)
    assert raw(plain.w) == raw(tensor)
    [row] = packing.breakdown(data).tensors
    return row, data


def form_of(codes, scale, zero_point=None, num_bits=4, rows=None):
    scale = torch.tensor(scale)
    points = torch.tensor(zero_point or [0] * len(scale), dtype=torch.int32)
    codes = torch.as_tensor(codes, dtype=torch.int32)
    return ScaledCodes(codes, scale, points, num_bits, Rows() if rows is None else rows)


def test_codes_in_the_middle_are_these_very_bytes(raw, reference):
    form = form_of([[-2, 1, 0, -1], [1, 1, 1, -2]], [0.5, 2.0], num_bits=2, rows=Rows(0))
    _, data = packed_row(form, raw)
    # kind: rows along an axis, 2 bits; axis 0; two scales; step + 2, four to a byte, lowest first
    payload = bytes.fromhex("11 00 0000003f 00000040") + bytes([0b01_10_11_00, 0b00_11_11_11])
    entry = reference.entry(b"w", 0x20, (2, 4), len(payload))
    assert data == reference.sealed(b"LWLB\x02\x01" + entry + payload)


def test_zero_points_are_written_as_codes(raw, reference):
    form = form_of([[0, 7, 3, 7]] * 4, [0.5], zero_point=[3], num_bits=3)
    _, data = packed_row(form, raw)
    # kind: zero points, 3 bits; the scale; 3; 0 7 3 7 0 7 3 7 as 3 bits each, twice
    eight = sum(code << 3 * i for i, code in enumerate([0, 7, 3, 7] * 2)).to_bytes(3, "little")
    payload = bytes.fromhex("24 0000003f 03") + 2 * eight
    entry = reference.entry(b"w", 0x20, (4, 4), len(payload))
    assert data == reference.sealed(b"LWLB\x02\x01" + entry + payload)


def test_binary_weights_take_a_bit_each_and_zeros_among_them_a_bitmask(raw):
    signs = torch.tensor([-1, 1]).repeat(400)
    row, _ = packed_row(form_of(signs.reshape(2, 400), [0.5, 0.25], num_bits=1, rows=Rows(0)), raw)
    assert (row.coding, row.codebook_bytes, row.values_bytes) == ("scaled", 1 + 1 + 8, 100)
    pruned = (signs * (torch.arange(800) % 5 == 0)).reshape(2, 400)
    row, _ = packed_row(form_of(pruned, [0.5, 0.25], num_bits=1, rows=Rows(0)), raw)
    assert (row.coding, row.codebook_bytes) == ("sparse scaled", 1 + 1 + 8)
    assert (row.positions_bytes, row.values_bytes) == (100, 20)


def test_ternary_weights_of_different_rows_take_a_bit_for_each_sign(raw):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(-1, 2, (50, 200), generator=generator)
    scales = (1 + torch.arange(50.0)).tolist()
    row, _ = packed_row(form_of(codes, scales, num_bits=2, rows=Rows(0)), raw)
    nonzero = int(codes.count_nonzero())
    assert row.coding == "sparse scaled"
    assert (row.positions_bytes, row.values_bytes) == (10_000 // 8, math.ceil(nonzero / 8))


def test_rows_of_several_widths_are_packed_width_by_width(raw):
    widths = torch.tensor([8, 2, 2, 5, 8, 3])
    codes = torch.stack([torch.arange(50) % 2**b - 2 ** (b - 1) for b in widths.tolist()])
    form = form_of(codes, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], num_bits=widths, rows=Rows(0))
    row, _ = packed_row(form, raw)
    assert (row.coding, row.codebook_bytes) == ("scaled", 1 + 1 + 6 * 4 + 3)
    assert row.values_bytes == 100 * 2 // 8 + math.ceil(50 * 3 / 8) + math.ceil(50 * 5 / 8) + 100


@pytest.mark.parametrize("widths", [[4, 4, 7, 7], [4, 7, 4, 7]])
def test_a_width_that_all_runs_of_an_index_share_is_written_once(raw, reference, widths):
    codes = torch.cat([torch.arange(64) % 2**b - 2 ** (b - 1) for b in widths]).reshape(2, 128)
    form = form_of(codes, [0.1, 0.2, 0.3, 0.4], num_bits=torch.tensor(widths), rows=Rows(0, 64))
    row, data = packed_row(form, raw)
    [(_, _, elements)] = reference.read(data).values()
    assert elements == raw(described(form)[1])
    # 2 or 4 widths of 3 bits; 64 codes each of 4, 4, 7 and 7 bits
    assert row.codebook_bytes == 1 + 1 + 1 + 4 * 4 + (1 if widths[1] == 4 else 2)
    assert row.values_bytes == 64 * (4 + 4 + 7 + 7) // 8


@st.composite
def forms(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    axis = draw(st.none() | st.integers(0, len(shape) - 1))
    channel = math.prod(shape) // shape[axis] if axis is not None else 1
    sizes = [size for size in range(1, channel + 1) if channel % size == 0]
    rows = Rows(axis, draw(st.none() | st.sampled_from(sizes)) if axis is not None else None)
    groups, length = rows.sizes(shape)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = draw(st.integers(1, 8))
    widths = generator.integers(low, draw(st.integers(low, 8)) + 1, groups)
    if rows.size and draw(st.booleans()):
        widths = np.repeat(widths[: shape[axis]], groups // shape[axis])
    high = 2 ** widths[:, None]
    codes = generator.integers(0, np.repeat(high, length, axis=1))
    zero_point = generator.integers(0, high[:, 0])
    if draw(st.booleans()):  # symmetric, binary where it has one bit
        zero_point = 2 ** (widths - 1)
        codes = np.where(widths[:, None] == 1, 2 * codes, codes)
    keep = generator.random(codes.shape) < draw(st.sampled_from([0.1, 0.5, 1]))
    codes = np.where(keep, codes, zero_point[:, None])
    scale = generator.uniform(1e-3, 1, groups).astype(np.float32)
    return ScaledCodes(
        torch.from_numpy(rows.join(codes, shape).copy()).int(),
        torch.from_numpy(scale),
        torch.from_numpy(zero_point).int(),
        torch.from_numpy(widths),
        rows,
    )


@settings(deadline=None, max_examples=200)
@given(form=forms(), dtype=st.sampled_from(DTYPES))
def test_any_codes_come_back_to_the_bit_and_a_second_reader_agrees(form, dtype, raw, reference):
    _, data = packed_row(form, raw, dtype)
    [(_, _, elements)] = reference.read(data).values()
    assert elements == raw(described(form, dtype)[1])


@settings(deadline=None, max_examples=100)
@given(form=forms(), dtype=st.sampled_from(DTYPES))
def test_both_scaled_codings_decode_what_they_encode(form, dtype):
    tensor = described(form, dtype)[1]
    spec = spec_of("w", tensor)
    content = Content(bits_of(tensor, spec.stored), spec.stored, form)
    for coding in (SCALED, SPARSE_SCALED):
        parts = coding.encode(content, 10**6)
        if parts is None:  # zeros among binary codes have no code of one bit
            assert coding is SCALED
            assert bool((torch.from_numpy(form.widths) == 1).any())
            continue
        again = coding.split(memoryview(b"".join(parts.buffers)), spec)
        assert b"".join(again.buffers) == b"".join(parts.buffers)
        assert np.array_equal(coding.decode(again, spec), content.flat)


def test_a_description_that_is_not_true_to_the_bit_is_not_believed(raw):
    form = form_of(torch.arange(4096).reshape(64, 64) % 16 - 8, [0.1])
    _, tensor = described(form)
    assert packed_row(form, raw)[0].coding == "scaled"
    near = tensor.clone()
    near[5, 5] = torch.nextafter(near[5, 5], torch.tensor(9.0))
    assert "scaled" not in packed_row(form, raw, tensor=near)[0].coding
    minus_zero = torch.where(tensor == 0, -0.0, tensor)
    assert packed_row(form, raw, tensor=minus_zero)[0].coding == "palette"
    assert packed_row(form, raw, tensor=tensor.double())[0].coding == "scaled"
    exact = (form.codes.double() * form.scale[0].double()).clone()
    assert "scaled" not in packed_row(form, raw, tensor=exact)[0].coding
    reshaped = tensor.reshape(32, 128).clone()
    assert "scaled" not in packed_row(form, raw, tensor=reshaped)[0].coding


@pytest.mark.parametrize("scale", [1e-39, float("inf"), float("nan"), -0.5])
def test_odd_scales_are_left_to_the_other_codings(raw, scale):
    form = form_of(torch.arange(1, 65).reshape(1, 64) % 8, [scale])
    assert packed_row(form, raw)[0].coding != "scaled"

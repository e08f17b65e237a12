"""Entropy-coded payloads of unknown origin: one sentence of error, in bounded memory and time."""

from __future__ import annotations

import contextlib
import functools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab import packing
from lwlab.packing import PackingError

WAYS = {
    "palette + huffman": {"palette", "huffman"},
    "palette + range": {"palette", "range"},
    "palette + mask": {"palette", "mask"},
    "palette + gaps + huffman": {"palette", "gaps", "huffman"},
    "palette + mask + range": {"palette", "mask", "range"},
    "half + gaps": {"half", "gaps"},
    "plain + mask": {"mask"},
    "half": {"half"},
}


def tensor_for(way):
    """24 x 40 elements that are written in this way, if its families alone are allowed."""
    random = np.random.default_rng(0)
    kept = random.random((24, 40)) < (0.1 if "gaps" in way or "mask" in way else 0.8)
    kept[:5] &= random.random((5, 40)) < 0.1
    few = 1 + np.abs(np.rint(random.laplace(size=kept.shape))).clip(0, 5)
    values = random.normal(size=kept.shape)
    if "palette" in way:
        values = few if "huffman" in way or "range" in way else random.integers(1, 5, kept.shape)
    values = torch.from_numpy(np.where(kept, values, 0)).float()
    return values.half().float() if "half" in way else values


@functools.cache
def file_of(way, bag):
    data = packing.to_bytes(bag({"w": tensor_for(way)}), codings=WAYS[way])
    assert [row.coding for row in packing.breakdown(data).tensors] == [way]
    return data


def load_or_refuse(data, bag):
    """Load and account for ``data``: nothing but a PackingError comes, the model stays whole."""
    model, sentence = bag({"w": torch.full((24, 40), 7.0)}), None
    try:
        packing.from_bytes_(model, data)
    except PackingError as error:
        sentence = str(error)
    with contextlib.suppress(PackingError):
        packing.breakdown(data)
    if sentence is None:
        return True
    assert sentence.startswith(("data is damaged: ", "data must hold ", "data was written"))
    assert "\n" not in sentence
    assert bool((model.w == 7).all())
    return False


@pytest.mark.parametrize("way", WAYS)
def test_each_way_loads_and_each_cut_or_flipped_bit_is_noticed(way, bag):
    data = file_of(way, bag)
    assert load_or_refuse(data, bag)
    for position in range(5, len(data), 7):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        assert not load_or_refuse(bytes(flipped), bag)
        assert not load_or_refuse(data[:position], bag)


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None, max_examples=40)
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 3), st.binary(max_size=4)), max_size=3
    )
)
def test_a_rewritten_payload_with_a_right_checksum_is_loaded_or_refused(way, bag, reference, cuts):
    data = file_of(way, bag)
    shape = (24, 40)
    start = len(data) - 4 - packing.breakdown(data).tensors[0].total
    start += packing.breakdown(data).tensors[0].header_bytes
    payload = data[start:-4]
    for position, removed, inserted in cuts:
        payload = payload[:position] + inserted + payload[position + removed :]
    kind = 0x60 if way == "half" else 0x70
    load_or_refuse(reference.file((b"w", kind, shape, payload), version=3), bag)


@pytest.mark.parametrize("way", WAYS)
def test_every_flipped_bit_of_a_payload_with_a_right_checksum_is_loaded_or_refused(
    way, bag, reference
):
    data = file_of(way, bag)
    for position in range(14, len(data) - 4, 3):
        body = bytearray(data[:-4])
        body[position] ^= 1 << position % 8
        load_or_refuse(reference.sealed(bytes(body)), bag)


@settings(deadline=None, max_examples=300)
@given(
    code=st.integers(0, 9),
    shape=st.lists(st.sampled_from([1, 2, 8, 1000, 2**40]), max_size=3),
    form=st.integers(0, 255),
    rest=st.binary(max_size=40),
)
def test_any_payload_is_counted_or_refused_in_little_memory(reference, code, shape, form, rest):
    """At most 1,024 elements for each of 41 bytes, and what an entropy coder needs for them."""
    payload = bytes([form]) + rest
    data = reference.file((b"w", 0x70 + code, tuple(shape), payload), version=3)
    tracemalloc.start()
    with contextlib.suppress(PackingError):
        packing.breakdown(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000


def test_a_million_declared_elements_need_a_thousand_bytes(reference):
    head = b"\x01\x01\x00\x00\x80\x3f\x00\x00\x00\x40"  # a palette of 1.0 and 2.0
    tracemalloc.start()
    for form in (0x01, 0x11, 0x21):
        data = reference.file((b"w", 0x70, (10**6,), bytes([form]) + head[1:]), version=3)
        with pytest.raises(PackingError, match="'w' has 10 bytes for 1000000 elements"):
            packing.breakdown(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000

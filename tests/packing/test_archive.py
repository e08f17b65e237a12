from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lwlab import packing
from lwlab.models import LeNet300, SimpleCNN
from lwlab.packing.archive import frame_length

SECOND = {"bitmask", "palette", "scaled"}  # the families of format 2


def small_linear():
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -2.0]]))
        layer.bias.copy_(torch.tensor([0.5, -0.5]))
    return layer


SMALL_FILE = bytes.fromhex(
    "4c574c42"  # magic LWLB
    "01"  # format 1
    "02"  # two tensors
    "00 06 776569676874"  # shares 0 bytes with the name before, 6 follow: "weight"
    "10"  # coding 1 (bitmask), type 0 (float32)
    "02 02 03"  # rank 2, sizes 2 and 3
    "09"  # 9 bytes of payload
    "00 04 62696173"  # "bias"
    "00"  # coding 0 (dense), type 0 (float32)
    "01 02"  # rank 1, size 2
    "08"  # 8 bytes of payload
    "22"  # elements 1 and 5 are non-zero: 0b100010
    "0000803f 000000c0"  # 1.0, -2.0
    "0000003f 000000bf"  # 0.5, -0.5
    "b05724b5"  # CRC-32
)


def slow_crc32(data):
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xEDB88320 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def test_a_small_layer_is_packed_into_these_very_bytes():
    assert packing.to_bytes(small_linear(), codings=SECOND) == SMALL_FILE
    assert slow_crc32(SMALL_FILE[:-4]).to_bytes(4, "little") == SMALL_FILE[-4:]


def test_these_very_bytes_fill_a_layer():
    layer = nn.Linear(3, 2)
    packing.from_bytes_(layer, SMALL_FILE)
    assert layer.weight.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, -2.0]]
    assert layer.bias.tolist() == [0.5, -0.5]


def test_a_name_says_only_what_differs_from_the_one_before_and_a_tied_tensor_only_the_index(
    reference,
):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    model = nn.ModuleDict({"x": layer, "xy": layer})
    expected = reference.sealed(
        b"LWLB\x01\x02"
        + bytes.fromhex("00 08") + b"x.weight" + bytes.fromhex("00 02 01 01 04")
        + bytes.fromhex("01 08") + b"y.weight" + bytes.fromhex("f0 02 01 01 01")
        + bytes.fromhex("0000803f 00")
    )  # fmt: skip
    assert packing.to_bytes(model, codings=SECOND) == expected


def test_a_model_without_tensors_is_ten_bytes_and_loads():
    data = packing.to_bytes(nn.ReLU())
    assert len(data) == 10 == frame_length(0)
    packing.from_bytes_(nn.ReLU(), data)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_second_reader_written_from_the_docstring_reads_the_same(
    states, bag, reference, raw, data
):
    state = data.draw(states)
    read = reference.read(packing.to_bytes(bag(state), codings=SECOND))
    assert [(name, shape, elements) for name, (_, shape, elements) in read.items()] == [
        (name, tuple(tensor.shape), raw(tensor)) for name, tensor in state.items()
    ]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_file_by_a_second_writer_that_stores_all_dense_loads(states, bag, reference, raw, data):
    state = data.draw(states)
    code = dict(zip([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool,
                     torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64], range(10),
                    strict=True))  # fmt: skip
    written = reference.file(
        *((name.encode(), code[t.dtype], tuple(t.shape), raw(t)) for name, t in state.items())
    )
    model = bag({name: torch.zeros_like(tensor) for name, tensor in state.items()})
    packing.from_bytes_(model, written)
    assert {n: raw(t) for n, t in model.state_dict().items()} == {
        n: raw(t) for n, t in state.items()
    }


def test_the_header_of_the_small_networks_is_small():
    assert packing.breakdown(packing.to_bytes(SimpleCNN())).header == 133
    # frame, then weight and bias of each layer; from the second entry on, names are shortened
    by_hand = 10 + (21 + 12) + (18 + 11) + (16 + 10)
    assert packing.breakdown(packing.to_bytes(LeNet300())).header == by_hand


def test_the_same_model_always_gives_the_same_bytes():
    assert packing.to_bytes(SimpleCNN(seed=3)) == packing.to_bytes(SimpleCNN(seed=3))


def test_a_name_that_is_too_long_is_refused(bag):
    fits = bag({"é" * 127: torch.ones(1)})
    packing.from_bytes_(fits, packing.to_bytes(fits))
    sentence = (
        "the name of a tensor must have 1 to 255 bytes, got 256 in "
        "'éééééééééééééééééééééééééééééééééééééééé'."
    )
    with pytest.raises(packing.PackingError, match=f"^{re.escape(sentence)}$"):
        packing.to_bytes(bag({"é" * 128: torch.ones(1)}))


def test_a_name_that_is_no_unicode_is_refused(bag):
    sentence = "the name of a tensor must be valid Unicode, got 'a\\ud800'."
    with pytest.raises(packing.PackingError, match=f"^{re.escape(sentence)}$"):
        packing.to_bytes(bag({"a\ud800": torch.ones(1)}))


def test_more_tensors_than_the_file_can_count_are_refused(monkeypatch, bag):
    monkeypatch.setattr("lwlab.packing.archive.MAX_TENSORS", 2)
    two = {"a": torch.ones(1), "b": torch.ones(1)}
    packing.to_bytes(bag(two))
    with pytest.raises(packing.PackingError, match=r"^a file holds at most 2 tensors, got 3\.$"):
        packing.to_bytes(bag({**two, "c": torch.ones(1)}))

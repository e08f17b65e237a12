from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lwlab import packing
from lwlab.packing import TensorBytes

SECOND = {"bitmask", "palette", "scaled"}  # the families of format 2
# 2 elements of 6 that are not zero: 6 * H in bytes
TWO_OF_SIX = (2 * math.log2(3) + 4 * math.log2(3 / 2)) / 8


def small_linear():
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -2.0]]))
    return layer


def test_a_small_file_is_accounted_for_by_hand():
    table = packing.breakdown(packing.to_bytes(small_linear(), codings=SECOND))
    assert table.tensors == (
        # two varints of the name, "weight", kind, rank, two sizes, length
        TensorBytes("weight", (2, 3), "bitmask", 8, 1, 0, 0, 2 + 6 + 1 + 1 + 2 + 1, 8 + TWO_OF_SIX),
        TensorBytes("bias", (2,), "dense", 8, 0, 0, 0, 2 + 4 + 1 + 1 + 1 + 1, 8),
    )
    assert table.frame_bytes == 4 + 1 + 1 + 4
    assert (table.values, table.positions, table.other, table.header) == (16, 1, 0, 33)
    assert table.total == 50
    assert table.bound == pytest.approx(16 + TWO_OF_SIX)
    assert [row.total for row in table.tensors] == [22, 18]


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_every_byte_is_in_exactly_one_place(states, bag, data):
    state = data.draw(states)
    if state and data.draw(st.booleans()):
        state["tied"] = next(iter(state.values()))
    packed = packing.to_bytes(bag(state), codings=SECOND)
    table = packing.breakdown(packed)
    assert table.total == len(packed)
    kinds = (table.values, table.positions, table.codebook, table.other, table.header)
    assert sum(kinds) == table.total
    assert table.frame_bytes + sum(row.total for row in table.tensors) == table.total
    for row, (name, tensor) in zip(table.tensors, state.items(), strict=True):
        assert (row.name, row.shape) == (name, tuple(tensor.shape))
        elements = tensor.reshape(-1).view(_integer(tensor))
        nonzero = int(torch.count_nonzero(elements))
        count = nonzero if row.coding in ("bitmask", "sparse palette") else tensor.numel()
        bits = 8 * tensor.element_size() if row.coding in ("dense", "bitmask") else 0
        if "palette" in row.coding:
            patterns = (row.codebook_bytes - 1) // tensor.element_size()
            assert patterns == len(
                set(elements.tolist()) - ({0} if "sparse" in row.coding else set())
            )
            bits = math.ceil(math.log2(patterns))
        assert row.values_bytes == math.ceil(count * bits / 8)


def _integer(tensor):
    return {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]


def test_more_than_127_tensors_take_one_more_byte_of_frame(bag):
    packed = packing.to_bytes(bag({f"t{i}": torch.ones(1) for i in range(128)}))
    table = packing.breakdown(packed)
    assert table.frame_bytes == 11
    assert table.frame_bytes + sum(row.total for row in table.tensors) == len(packed)


def test_a_tied_tensor_costs_one_byte_and_its_header():
    layer = nn.Linear(4, 4, bias=False)
    table = packing.breakdown(packing.to_bytes(nn.ModuleList([layer, layer])))
    assert [(row.coding, row.values_bytes, row.other_bytes) for row in table.tensors] == [
        ("dense", 64, 0),
        ("tied", 0, 1),
    ]
    assert table.other == 1


def test_a_file_and_its_bytes_give_the_same_numbers(tmp_path):
    path = tmp_path / "model.lwlab"
    packing.save(small_linear(), path)
    from_file, from_bytes = packing.breakdown(path), packing.breakdown(path.read_bytes())
    assert (from_file.source, from_bytes.source) == (str(path), "data")
    assert from_file.tensors == from_bytes.tensors
    assert packing.breakdown(str(path)) == from_file
    assert packing.breakdown(memoryview(path.read_bytes())) == from_bytes


def test_the_text_is_an_aligned_table():
    assert str(
        packing.breakdown(packing.to_bytes(small_linear(), codings=SECOND))
    ).splitlines() == [
        "data: 50 B (values 32.0 %, positions 2.0 %, header 66.0 %)",
        "tensor   shape  coding   values  positions  codebook  other  header  total  bound",
        "(frame)                       0          0         0      0      10     10      0",
        "weight   2x3    bitmask       8          1         0      0      13     22      9",
        "bias     2      dense         8          0         0      0      10     18      8",
        "total                        16          1         0      0      33     50     17",
    ]


def test_names_in_the_html_are_escaped(bag):
    model = bag({"<b>&": torch.arange(1200.0) + 1})
    text = packing.breakdown(packing.to_bytes(model, codings=()))._repr_html_()
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert ">4,800</td>" in text
    assert text.count("<tr>") == 4


def test_a_name_that_would_move_the_cursor_is_shown_by_its_escapes(bag):
    text = str(packing.breakdown(packing.to_bytes(bag({"a\x1b[2J\n": torch.ones(1)}))))
    assert "\x1b" not in text
    assert "'a\\x1b[2J\\n'" in text
    assert len(text.splitlines()) == 5


def test_what_is_neither_path_nor_bytes_is_refused():
    sentence = (
        "path_or_bytes must be the bytes of a packed file, got Linear. For a file on disk there is "
        "packing.load_(model, path)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        packing.breakdown(nn.Linear(2, 2))

from __future__ import annotations

import gzip
import io
import re
import sys
import types
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from lwlab import packing, prune
from lwlab.models import SimpleCNN
from lwlab.packing import containers
from lwlab.packing.containers import compare_containers


@pytest.fixture(autouse=True)
def no_safetensors(monkeypatch):
    monkeypatch.setattr(containers.importlib.util, "find_spec", lambda name: None)


def by_name(table):
    return {row.name: row for row in table.rows}


def test_sizes_are_those_of_real_files(tmp_path):
    model = SimpleCNN()
    prune.mask_model_(model, sparsity=0.9)
    rows = by_name(compare_containers(model))
    file = tmp_path / "model.pt"
    torch.save(model.state_dict(), file)
    # The name of the file is that of a folder in the archive, and may move the 64-byte steps.
    assert rows["torch.save(state_dict)"].size_bytes == pytest.approx(file.stat().st_size, abs=1500)
    assert rows["gzip of it"].size_bytes == pytest.approx(
        len(gzip.compress(file.read_bytes(), 6)), rel=0.02
    )
    baked = deepcopy(model)
    prune.bake_(baked)
    arrays = {name: tensor.numpy() for name, tensor in baked.state_dict().items()}
    np.savez_compressed(tmp_path / "model.npz", **arrays)
    expected = (tmp_path / "model.npz").stat().st_size
    assert rows["numpy .npz (zip)"].size_bytes == pytest.approx(expected, abs=50)
    assert rows["packed, dense only"].size_bytes == len(packing.to_bytes(model, codings=()))
    packing.save(model, tmp_path / "model.lwlab")
    assert rows["packed"].size_bytes == (tmp_path / "model.lwlab").stat().st_size


def test_sentences_say_what_was_measured():
    model = nn.Sequential(nn.Linear(100, 100, bias=False))
    rows = by_name(compare_containers(model))
    size = rows["torch.save(state_dict)"].size_bytes
    assert rows["torch.save(state_dict)"].why == (
        f"40,000 bytes of elements and {size - 40000:,} bytes for each of 1 tensors for names, "
        f"shapes and the entries of a zip archive."
    )
    dense = rows["packed, dense only"].size_bytes
    assert rows["packed, dense only"].why == (
        f"40,000 bytes of elements and {dense - 40000} bytes for each of 1 tensors for names, "
        f"shapes and a checksum."
    )
    assert rows["packed"].why == (
        f"Each tensor in its shortest way: values 40,000, header {dense - 40000}."
    )


def test_the_sentence_of_gzip_counts_zeros_and_the_bound_of_the_bytes():
    model = nn.Linear(64, 64)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    data = file.getvalue()
    shares = np.unique(list(data), return_counts=True)[1] / len(data)
    bound = round(-len(data) * (shares * np.log2(shares)).sum() / 8)
    zeros = 100 * data.count(0) / len(data)
    assert by_name(compare_containers(model))["gzip of it"].why == (
        f"{zeros:.1f} % of those bytes are zeros, and all of them, one by one, hold {bound:,} "
        f"bytes (Shannon): gzip sees bytes, not numbers."
    )


def test_a_masked_model_saves_originals_and_masks_too():
    model = nn.Sequential(nn.Linear(100, 100, bias=False))
    prune.mask_model_(model, sparsity=0.5)
    why = by_name(compare_containers(model))["torch.save(state_dict)"].why
    # float32 originals, and masks of a byte each
    assert why.startswith("50,000 bytes of elements, 50,000 of them for originals and masks, and ")


def test_tied_tensors_count_once():
    layer = nn.Linear(100, 100, bias=False)
    why = compare_containers(nn.ModuleList([layer, layer])).rows[0].why
    assert why.startswith("40,000 bytes of elements and ")
    assert "for each of 2 tensors" in why


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int64, torch.float16])
def test_all_types_of_elements_have_their_rows(dtype):
    model = nn.Module()
    model.register_buffer("file", torch.ones(5, 4).to(dtype))
    table = compare_containers(model)
    assert len(table.rows) == 5
    assert all(row.size_bytes > 0 and row.why.endswith(".") for row in table.rows)


def test_a_model_without_tensors_has_a_table():
    assert "for names, shapes and a checksum." in str(compare_containers(nn.ReLU()))


def test_the_model_stays_as_it_is():
    model = SimpleCNN()
    model.train()
    before = deepcopy(model.state_dict())
    compare_containers(model)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_text_and_html_show_each_row():
    table = compare_containers(nn.Linear(2, 2))
    caption, head, *lines = str(table).splitlines()
    first, last = table.rows[0].size_bytes, table.rows[-1].size_bytes
    assert caption == f"Linear: {first / 1000:.2f} kB by torch.save(state_dict), {last} B packed"
    assert head.split() == ["file", "bytes", "why"]
    for line, row in zip(lines, table.rows, strict=True):
        assert line.startswith(row.name)
        assert line.endswith(f"{row.size_bytes:,}  {row.why}")
    page = table._repr_html_()
    assert page.count("<tr>") == len(table.rows) + 1
    assert f">{first:,}</td>" in page


def test_safetensors_has_a_row_if_it_is_there(monkeypatch):
    saved = {}

    def save(tensors):
        saved.update(tensors)
        return b"x" * (48 + 40)

    fake = types.ModuleType("safetensors.torch")
    fake.save = save
    monkeypatch.setitem(sys.modules, "safetensors", types.ModuleType("safetensors"))
    monkeypatch.setitem(sys.modules, "safetensors.torch", fake)
    monkeypatch.setattr(containers.importlib.util, "find_spec", lambda name: name)
    row = by_name(compare_containers(nn.Linear(2, 4)))["safetensors"]
    assert saved.keys() == {"weight", "bias"}
    assert row.size_bytes == 88
    assert row.why == (
        "48 bytes of elements and 20 bytes for each of 2 tensors for a header of text."
    )


def test_what_is_no_module_is_refused():
    sentence = "model must be a torch.nn.Module, got the class Linear. Did you mean Linear()?"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        compare_containers(nn.Linear)

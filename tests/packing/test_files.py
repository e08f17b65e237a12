from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from lwlab import packing
from lwlab.models import SimpleCNN


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_save_returns_the_length_of_a_file_that_load_reads_back(tmp_path):
    model, path = SimpleCNN(seed=1), tmp_path / "model.lwlab"
    size = packing.save(model, path)
    assert size == path.stat().st_size == len(packing.to_bytes(model))
    assert path.read_bytes() == packing.to_bytes(model)
    fresh = SimpleCNN(seed=2)
    packing.load_(fresh, str(path))
    assert packing.to_bytes(fresh) == packing.to_bytes(model)
    assert names_in(tmp_path) == ["model.lwlab"]


def test_save_obeys_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        packing.save(nn.ReLU(), tmp_path / "model.lwlab")
    finally:
        os.umask(old)
    if os.name == "posix":
        assert (tmp_path / "model.lwlab").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_save_that_fails_keeps_the_older_file_and_leaves_nothing_behind(
    tmp_path, monkeypatch, step
):
    path = tmp_path / "model.lwlab"
    packing.save(SimpleCNN(seed=1), path)
    older = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        packing.save(SimpleCNN(seed=2), path)
    assert path.read_bytes() == older
    assert names_in(tmp_path) == ["model.lwlab"]


def test_the_new_file_is_whole_before_it_takes_its_place(tmp_path, monkeypatch):
    model, path = SimpleCNN(), tmp_path / "model.lwlab"
    seen = []
    replace = Path.replace

    def watched(temporary, target):
        seen.append((temporary.parent, temporary.read_bytes(), target.exists()))
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", watched)
    packing.save(model, path)
    assert seen == [(tmp_path, packing.to_bytes(model), False)]


def test_a_model_that_cannot_be_packed_touches_no_file(tmp_path, bag):
    with pytest.raises(packing.PackingError):
        packing.save(bag({"x": torch.ones(1, dtype=torch.complex64)}), tmp_path / "model.lwlab")
    assert names_in(tmp_path) == []


def test_saving_through_a_link_writes_what_it_points_to(tmp_path):
    target, link = tmp_path / "real.lwlab", tmp_path / "link.lwlab"
    packing.save(nn.ReLU(), target)
    link.symlink_to(target)
    size = packing.save(nn.Linear(2, 2), link)
    assert link.is_symlink()
    assert target.stat().st_size == size


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "nowhere" / "model.lwlab"
    sentence = (
        f"path must be in a folder that exists, got {str(path)!r}. "
        f"Create it first: mkdir -p {str(path.parent)!r}"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(sentence)}$"):
        packing.save(nn.ReLU(), path)


def test_a_folder_for_a_file_is_refused(tmp_path):
    sentence = (
        f"path must be a file to save into, got {str(tmp_path)!r}, a folder or device. "
        "Add a file name."
    )
    with pytest.raises(FileExistsError, match=f"^{re.escape(sentence)}$"):
        packing.save(nn.ReLU(), tmp_path)


@pytest.mark.parametrize("read", [packing.breakdown, lambda path: packing.load_(nn.ReLU(), path)])
@pytest.mark.parametrize("name", ["missing.lwlab", "."])
def test_a_missing_file_or_a_folder_is_named(tmp_path, read, name):
    path = tmp_path / name
    sentence = (
        f"path must be a file written by lwlab.packing.save, got {str(path)!r}, which is not there "
        "or no file."
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(sentence)}$"):
        read(path)


@pytest.mark.parametrize("read", [packing.breakdown, lambda path: packing.load_(nn.ReLU(), path)])
def test_errors_name_the_file(tmp_path, read):
    path = tmp_path / "model.lwlab"
    packing.save(nn.Linear(2, 2), path)
    path.write_bytes(path.read_bytes()[:-1])
    sentence = (
        f"{path} is damaged: its checksum does not match, it was cut off or altered. "
        "Copy the file again, or save the model again."
    )
    with pytest.raises(packing.PackingError, match=f"^{re.escape(sentence)}$"):
        read(path)
    torch.save({"w": torch.ones(1)}, path)
    sentence = (
        f"{path} must be a file written by lwlab.packing.save, got one that starts with "
        "b'PK\\x03\\x04'. Did you mean torch.load?"
    )
    with pytest.raises(packing.PackingError, match=f"^{re.escape(sentence)}$"):
        read(path)


def test_a_huge_foreign_file_is_refused_by_its_first_bytes(tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte with nothing in it
    with pytest.raises(packing.PackingError, match="must be a file written by lwlab"):
        packing.load_(nn.ReLU(), path)


def test_load_checks_the_model_first(tmp_path):
    sentence = "model must be a torch.nn.Module, got the class ReLU. Did you mean ReLU()?"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        packing.load_(nn.ReLU, tmp_path / "missing.lwlab")

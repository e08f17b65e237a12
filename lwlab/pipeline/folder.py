"""A pipeline's folder: each finished step on disk, so that a killed run goes on where it was.

::

    recipe.json     the recipe, and fingerprints of the model, the data and the teacher
    step-01.npz     the model after step 1, how it is built, its packed file and its record
    step-02.npz     ...

Files appear whole or not at all: they are written beside their place and renamed. A step file that
cannot be read, from a disk that was full or a copy that was cut off, counts as not finished, and so
do those after it. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.models.layers import plain_state
from lwlab.pipeline.blueprint import blueprint_of, built_from

__all__ = ["Folder", "StoredStep", "fingerprints"]

_RECIPE = "recipe.json"
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError)
_DAMAGED = (*_UNREADABLE, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class StoredStep:
    """What a folder holds of a finished step.

    Attributes:
        model: as it stood after the step, ready to be trained on.
        record: what was measured, as JSON holds it.
        data: the packed file.
    """

    model: nn.Module
    record: dict[str, Any]
    data: bytes


class Folder:
    """The folder of one pipeline.

    Args:
        path: a folder of this very pipeline, an empty one, or one that will be made.
        identity: what must be the same for a run to go on; JSON can hold it.

    Raises:
        ValueError: the folder is one of another pipeline, or holds other things. Nothing in it is
            touched.
        OSError: it cannot be made or written.
    """

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, Any]) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"folder must be a folder, got the file {str(path)!r}.")
        found = self._found()
        if found is None:
            self.path.mkdir(parents=True, exist_ok=True)
            self._write(_RECIPE, json.dumps(identity, indent=1).encode())
            return
        different = [name for name in identity if found.get(name) != identity[name]]
        if different:
            raise ValueError(
                f"folder must be one of this pipeline, got one with another "
                f"{' and another '.join(different)} in {str(path)!r}. Give another folder."
            )

    def _found(self) -> dict[str, Any] | None:
        """Return the identity of the pipeline whose folder it is, or None for a new one."""
        file = self.path / _RECIPE
        if not file.is_file():
            strangers = sorted(p.name for p in self.path.glob("*") if not p.name.startswith("."))
            if strangers:
                raise ValueError(
                    f"folder must be empty or hold a pipeline, got {strangers[0]!r} in "
                    f"{str(self.path)!r}. Give another folder."
                )
            return None
        try:
            found = json.loads(file.read_bytes())
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}

    def finished(self, start: nn.Module, number: int) -> StoredStep | None:
        """Return step ``number`` of a pipeline that began with ``start``, if it is stored whole."""
        try:
            with self._step_path(number).open("rb") as file:
                stored = np.load(file, allow_pickle=False)
                header = json.loads(stored["header"].tobytes())
                model = built_from(header["blueprint"], start)
                _fill_(model, [stored[f"tensor{i}"] for i in range(header["tensors"])])
                return StoredStep(model, header["record"], stored["packed"].tobytes())
        except _DAMAGED:
            return None

    def store(self, number: int, model: nn.Module, record: dict[str, Any], data: bytes) -> None:
        """Store a finished step, whole or not at all."""
        tensors = list(model.state_dict().values())
        header = {"blueprint": blueprint_of(model), "record": record, "tensors": len(tensors)}
        arrays = {f"tensor{i}": _raw(tensor) for i, tensor in enumerate(tensors)}
        file = io.BytesIO()
        np.savez(file, header=_bytes(json.dumps(header).encode()), packed=_bytes(data), **arrays)
        self._write(self._step_path(number).name, file.getvalue())

    def _step_path(self, number: int) -> Path:
        return self.path / f"step-{number:02d}.npz"

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.path / f".{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path / name)
        finally:
            temporary.unlink(missing_ok=True)


def fingerprints(start: nn.Module, dataset: Dataset, teacher: Teacher | None) -> dict[str, str]:
    """Return what tells this model, data set and teacher from others: SHA-256 of their bytes."""
    splits = (dataset.train, dataset.validation, dataset.test)
    data = [tensor for split in splits for tensor in (split.inputs, split.targets)]
    teachers = [] if teacher is None else list(teacher.models)
    return {
        "model": _digest([repr(start)], _named(start)),
        "data set": _digest([dataset.name], data),
        "teacher": _digest(map(repr, teachers), [t for model in teachers for t in _named(model)]),
    }


def _named(model: nn.Module) -> list[Tensor]:
    return list(plain_state(model).values())


def _digest(texts: Iterable[str], tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_raw(tensor))
    return digest.hexdigest()


def _bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def _raw(tensor: Tensor) -> np.ndarray:
    """Return the bytes of a tensor: numpy has no bfloat16."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy() if flat.numel() else np.empty(0, np.uint8)


def _fill_(model: nn.Module, arrays: list[np.ndarray]) -> None:
    """Write stored bytes into the tensors of a model of the same build."""
    state = model.state_dict()
    if len(state) != len(arrays):
        raise ValueError("another number of tensors")
    for (name, tensor), array in zip(state.items(), arrays, strict=True):
        values = torch.from_numpy(array.copy()).view(tensor.dtype).reshape(tensor.shape)
        state[name] = values
    model.load_state_dict(state)

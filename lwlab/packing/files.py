"""A packed model on disk: written whole or not at all, read without trust."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Collection
from pathlib import Path

from torch import nn

from lwlab.checks import check_module
from lwlab.packing.archive import MAGIC
from lwlab.packing.model import read_into_, to_bytes
from lwlab.packing.reading import check_magic

__all__ = ["load_", "read_file", "save"]


def save(
    model: nn.Module, path: str | os.PathLike[str], codings: Collection[str] | None = None
) -> int:
    """Write the packed file of ``model`` and return its length in bytes.

    The file appears whole or not at all: it is written beside its place under a temporary name and
    then renamed, so that a full disk or a killed kernel leaves an older file as it was.

    Args:
        model: plain, or seen through parametrizations.
        path: the file, in a folder that exists.
        codings: the names out of ``CODING_FAMILIES`` that may be used; None for all.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``, or ``codings`` no set of names.
        ValueError: a name is unknown.
        PackingError: a tensor is of a kind that the file cannot hold.
        FileNotFoundError: the folder of ``path`` does not exist.
        FileExistsError: ``path`` is a folder or device.
    """
    data = to_bytes(model, codings)
    target = Path(path).resolve()  # a symbolic link stays, and its target is written
    if target.exists() and not target.is_file():
        raise FileExistsError(
            f"path must be a file to save into, got {str(path)!r}, a folder or device. "
            f"Add a file name."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path must be in a folder that exists, got {str(path)!r}. "
            f"Create it first: mkdir -p {str(target.parent)!r}"
        )
    _write_whole(target, data)
    return len(data)


def _write_whole(target: Path, data: bytes) -> None:
    # Not tempfile: its files can be read by nobody else, and the rename would keep that.
    temporary = target.parent / f".lwlab-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def load_(model: nn.Module, path: str | os.PathLike[str], *, resize: bool = False) -> None:
    """Fill ``model`` from a packed file; its training flags, hooks and settings stay.

    Every parameter and persistent buffer comes back equal to the bit. Everything is checked before
    anything of the model changes.

    With ``resize`` a model of the original class also takes the file of one that lost channels:
    its layers get the widths in the file, as new parameters (make a new optimizer). Kernel sizes,
    strides and the order of the layers are those of the class. Whether the widths of one layer fit
    the next is known to ``forward`` alone, and seen when the model runs. What is in no file stays:
    widths in the code of ``forward``, the size of a normalization without parameters, and the
    choice between narrower groups and fewer of them (see ``models.resize``).

    Args:
        model: of the class and sizes that were saved, without parametrizations.
        path: the file.
        resize: give the layers the widths in the file.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
        FileNotFoundError: there is no such file.
        PackingError: the file is no packed file, damaged, of a newer format or of another model;
            or the model is parametrized, lazy, does not own its tensors, or has a layer that
            cannot be resized.
    """
    check_module("model", model)
    read_into_(model, read_file(path), str(path), resize)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file that starts like a packed one.

    The first bytes are looked at before the rest is read: a foreign file may be huge.

    Raises:
        FileNotFoundError: there is no such file, or it is a folder or device.
        PackingError: it starts like no packed file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"path must be a file written by lwlab.packing.save, got {str(path)!r}, "
            f"which is not there or no file."
        )
    with Path(path).open("rb") as file:
        start = file.read(len(MAGIC) + 1)
        check_magic(start, str(path))
        return start + file.read()

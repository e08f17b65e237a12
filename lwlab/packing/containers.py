"""The same model in other files, and what each of them spends bytes on."""

from __future__ import annotations

import gzip
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lwlab.checks import check_module
from lwlab.models.layers import plain_state
from lwlab.packing.breakdown import breakdown
from lwlab.packing.model import to_bytes
from lwlab.packing.range_coder import bound_bytes
from lwlab.packing.tables import html_table, text_table
from lwlab.packing.tensors import bits_of, spec_of
from lwlab.units import format_bytes, format_count, format_percent

__all__ = ["Container", "ContainerTable", "compare_containers"]

_GZIP_LEVEL = 6  # that of the gzip program
_RIGHT = (False, True, False)


@dataclass(frozen=True)
class Container:
    """One way to store a model.

    Attributes:
        name: such as ``"gzip of it"``.
        size_bytes: length of the file.
        why: what the bytes are spent on, measured on this model: one sentence.
    """

    name: str
    size_bytes: int
    why: str


@dataclass(frozen=True)
class ContainerTable:
    """The same model in several files; ``print`` it, or show it in a notebook.

    Attributes:
        model: name of its class.
        rows: one for each file.
    """

    model: str
    rows: tuple[Container, ...]

    def __str__(self) -> str:
        return f"{self._caption}\n{text_table(self._cells, _RIGHT)}"

    def _repr_html_(self) -> str:
        return html_table(self._caption, self._cells, _RIGHT)

    @property
    def _caption(self) -> str:
        first, last = (format_bytes(self.rows[place].size_bytes) for place in (0, -1))
        return f"{self.model}: {first} by {self.rows[0].name}, {last} packed"

    @property
    def _cells(self) -> list[tuple[str, str, str]]:
        rows = [(row.name, format_count(row.size_bytes), row.why) for row in self.rows]
        return [("file", "bytes", "why"), *rows]


def compare_containers(model: nn.Module) -> ContainerTable:
    """Return how long the file of ``model`` is with ``torch.save``, gzip, numpy and here.

    All of them are made in memory; the model stays as it is. safetensors is there if installed.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
        PackingError: as for ``to_bytes``.
    """
    plain = plain_state(check_module("model", model))
    dense, packed = to_bytes(model, codings=()), to_bytes(model)
    saved = _saved(model)
    rows = [
        Container("torch.save(state_dict)", len(saved), _why_saved(model, len(saved))),
        _gzipped(saved),
        _npz(plain),
        *_safetensors(plain),
        Container("packed, dense only", len(dense), _why_dense(dense)),
        Container("packed", len(packed), _why_packed(packed)),
    ]
    return ContainerTable(type(model).__name__, tuple(rows))


def _saved(model: nn.Module) -> bytes:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.getvalue()


def _why_saved(model: nn.Module, size: int) -> str:
    state = {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    elements = _elements_bytes(state)
    hidden = _elements_bytes({n: t for n, t in state.items() if "parametrizations." in n})
    masks = f", {format_count(hidden)} of them for originals and masks," if hidden else ""
    return (
        f"{format_count(elements)} bytes of elements{masks} and "
        f"{_each(size - elements, len(state))} for names, shapes and the entries of a zip archive."
    )


def _gzipped(saved: bytes) -> Container:
    size = len(gzip.compress(saved, _GZIP_LEVEL, mtime=0))
    counts = np.bincount(np.frombuffer(saved, np.uint8), minlength=256)
    zeros, bound = format_percent(counts[0] / len(saved)), format_count(round(bound_bytes(counts)))
    why = (
        f"{zeros} of those bytes are zeros, and all of them, one by one, hold {bound} bytes "
        f"(Shannon): gzip sees bytes, not numbers."
    )
    return Container("gzip of it", size, why)


def _npz(plain: Mapping[str, Tensor]) -> Container:
    # savez names its own first argument "file".
    arrays = {f"{name}_" if name == "file" else name: _array(name, t) for name, t in plain.items()}
    stored, compressed = io.BytesIO(), io.BytesIO()
    np.savez(stored, **arrays)
    np.savez_compressed(compressed, **arrays)
    elements = sum(array.nbytes for array in arrays.values())
    more = _each(stored.tell() - elements, len(arrays))
    why = (
        f"Each array is compressed alone, as by gzip: {format_count(elements)} bytes of elements "
        f"and {more} for headers become {format_percent(compressed.tell() / stored.tell())}."
    )
    return Container("numpy .npz (zip)", compressed.tell(), why)


def _array(name: str, tensor: Tensor) -> np.ndarray:
    return bits_of(tensor, spec_of(name, tensor).stored)


def _safetensors(plain: Mapping[str, Tensor]) -> list[Container]:
    if importlib.util.find_spec("safetensors") is None:
        return []
    from safetensors.torch import save  # noqa: PLC0415 - not a dependency

    copies = {name: tensor.clone().contiguous() for name, tensor in plain.items()}
    size, elements = len(save(copies)), sum(t.nbytes for t in copies.values())
    why = (
        f"{format_count(elements)} bytes of elements and {_each(size - elements, len(copies))} for "
        f"a header of text."
    )
    return [Container("safetensors", size, why)]


def _why_dense(data: bytes) -> str:
    table = breakdown(data)
    elements = table.total - table.header
    more = _each(table.header, len(table.tensors))
    return (
        f"{format_count(elements)} bytes of elements and {more} for names, shapes and a checksum."
    )


def _why_packed(data: bytes) -> str:
    table = breakdown(data)
    parts = {
        "values": table.values,
        "positions": table.positions,
        "codebooks and scales": table.codebook,
        "other": table.other,
        "header": table.header,
    }
    listed = [f"{name} {format_count(size)}" for name, size in parts.items() if size]
    return f"Each tensor in its shortest way: {', '.join(listed)}."


def _elements_bytes(state: Mapping[str, Tensor]) -> int:
    """Return the bytes of all memory behind the tensors, shared memory once."""
    memory = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in state.values()}
    return sum(memory.values())


def _each(extra: int, tensors: int) -> str:
    """Return bytes beyond the elements as a text, per tensor."""
    if not tensors:
        return f"{format_count(extra)} bytes"
    return f"{format_count(round(extra / tensors))} bytes for each of {tensors} tensors"

"""A model to bytes, and bytes back into a model: here names and shapes meet."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_module
from lwlab.models.layers import plain_state
from lwlab.models.resize import resize_
from lwlab.packing.archive import memory_key, write_archive
from lwlab.packing.errors import PackingError
from lwlab.packing.families import check_families
from lwlab.packing.reading import Entry, decode, read_archive
from lwlab.packing.stored import described_tensors
from lwlab.packing.tensors import TensorSpec, fill_from_bits_, spec_of

__all__ = ["Packed", "check_packed", "from_bytes_", "read_into_", "to_bytes"]

Packed = bytes | bytearray | memoryview

_NAMED = 3  # how many tensors a sentence names before it says "and 5 more"


def to_bytes(model: nn.Module, codings: Collection[str] | None = None) -> bytes:
    """Return the packed file of ``model``: its parameters and persistent buffers, bit for bit.

    Masks and other parametrizations are folded in, so that a pruned weight is stored with its
    zeros, and takes less room for them. A quantized one is stored as codes and scales where its
    parametrization can tell them (see ``stored``); loaded, it is the same float tensor. Tensors
    that share memory are stored once.

    Args:
        model: plain, or seen through parametrizations.
        codings: the names out of ``CODING_FAMILIES`` that may be used to save bytes; None for all.
            Each tensor takes the shortest way that they leave, at worst element by element.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``, or ``codings`` no set of names.
        ValueError: a name is unknown.
        PackingError: a tensor is of a kind that the file cannot hold (sparse, complex, lazy).
    """
    check_module("model", model)
    families = check_families(codings)
    described = described_tensors(model) if "scaled" in families else {}
    return write_archive(plain_state(model), described, families)


def from_bytes_(model: nn.Module, data: Packed, *, resize: bool = False) -> None:
    """Fill ``model`` from a packed file in memory; see ``load_``.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``, or ``data`` are not bytes.
        PackingError: as for ``load_``. The model is as it was.
    """
    read_into_(check_module("model", model), check_packed("data", data), "data", resize)


def check_packed(name: str, data: Packed) -> Packed:
    """Return ``data`` as flat bytes.

    Raises:
        TypeError: it is something else, for example the path of a file.
    """
    if not isinstance(data, Packed):
        raise TypeError(
            f"{name} must be the bytes of a packed file, got {type(data).__name__}. "
            f"For a file on disk there is packing.load_(model, path)."
        )
    return data.tobytes() if isinstance(data, memoryview) else data


def read_into_(model: nn.Module, data: Packed, source: str, resize: bool = False) -> None:
    """Fill ``model`` from ``data``; nothing of it changes before everything is checked.

    Args:
        model: of the class and sizes that were packed.
        data: the whole file.
        source: what to call it in the sentence of an error.
        resize: give layers the widths that the file has.

    Raises:
        PackingError: as for ``load_``.
    """
    _check_plain(model)
    targets = plain_state(model)
    specs = [spec_of(name, tensor) for name, tensor in targets.items()]
    _check_writable(model, targets)
    entries = read_archive(data, source)
    _check_fit(specs, entries, type(model).__name__, source, resize)
    # Only now is memory taken: as much as the model itself has, or as the payloads allow.
    bits = dict(zip([e.spec.name for e in entries], decode(entries, source), strict=True))
    _check_shared_memory(targets, bits, source)
    if resize:
        _resize_to_(model, {entry.spec.name: entry.spec.shape for entry in entries}, source)
        targets = plain_state(model)
    for spec in specs:
        fill_from_bits_(targets[spec.name], bits[spec.name], spec.stored)


def _resize_to_(model: nn.Module, shapes: dict[str, tuple[int, ...]], source: str) -> None:
    try:
        resize_(model, shapes)
    except ValueError as error:
        raise PackingError(
            f"{source} must hold sizes that this {type(model).__name__} can take: {error}"
        ) from error


def _check_plain(model: nn.Module) -> None:
    """Check that no tensor of ``model`` is seen through a parametrization.

    Writing into one would change what it is computed from, or nothing at all.
    """
    hidden = [
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if parametrize.is_parametrized(module)
        for name in module.parametrizations
    ]
    if hidden:
        kind = type(model).__name__.removeprefix("Parametrized")
        raise PackingError(
            f"model must be plain to load into, got one with parametrized {_listed(hidden)}. "
            f"Load into a plain model (for example a fresh {kind}()) or call prune.bake_ first."
        )


def _check_writable(model: nn.Module, names: Iterable[str]) -> None:
    """Check that each name is a parameter or buffer with memory of its own for each element."""
    owned = dict(model.named_parameters(remove_duplicate=False))
    owned |= dict(model.named_buffers(remove_duplicate=False))
    fixed = [name for name in names if name not in owned or _is_expanded(owned[name])]
    if fixed:
        raise PackingError(
            f"model must own its tensors to be loaded into, got {_listed(fixed)}, computed or "
            f"expanded. Register plain parameters or buffers, such as tensor.clone()."
        )


def _is_expanded(tensor: Tensor) -> bool:
    sizes_and_strides = zip(tensor.shape, tensor.stride(), strict=True)
    return any(size > 1 and stride == 0 for size, stride in sizes_and_strides)


def _check_fit(
    specs: list[TensorSpec], entries: list[Entry], model: str, source: str, resize: bool
) -> None:
    wanted = {spec.name: spec for spec in specs}
    found = {entry.spec.name: entry.spec for entry in entries}
    different = {
        name: (found[name], spec)
        for name, spec in wanted.items()
        if name in found and found[name] != spec and not (resize and _same_kind(found[name], spec))
    }
    problems = {
        "no": [repr(name) for name in wanted if name not in found],
        "unexpected": [repr(name) for name in found if name not in wanted],
        "a different": [
            f"{name!r} ({_described(theirs)} in the file, {_described(ours)} here)"
            for name, (theirs, ours) in different.items()
        ],
    }
    got = "; ".join(f"{kind} {_joined(names)}" for kind, names in problems.items() if names)
    if got:
        removed = found.keys() == wanted.keys() and all(
            _is_narrower(theirs, ours) for theirs, ours in different.values()
        )
        hint = " If channels were removed from it, try resize=True." if removed else ""
        raise PackingError(
            f"{source} must hold the tensors of this {model}, got {got}. "
            f"Load into a model built with the class and sizes that were saved.{hint}"
        )


def _same_kind(found: TensorSpec, wanted: TensorSpec) -> bool:
    """Return whether two specs differ in nothing but the two dimensions that count channels."""
    same_kernel = found.shape[2:] == wanted.shape[2:]
    return found.stored == wanted.stored and len(found.shape) == len(wanted.shape) and same_kernel


def _is_narrower(found: TensorSpec, wanted: TensorSpec) -> bool:
    sizes = zip(found.shape, wanted.shape, strict=False)
    return _same_kind(found, wanted) and all(0 < size <= most for size, most in sizes)


def _described(spec: TensorSpec) -> str:
    return f"{spec.stored.name} {spec.shape}"


def _check_shared_memory(
    targets: dict[str, Tensor], bits: dict[str, np.ndarray], source: str
) -> None:
    """Check that tensors which are one in the model are equal in the file."""
    first: dict[tuple, str] = {}
    for index, (name, tensor) in enumerate(targets.items()):
        owner = first.setdefault(memory_key(tensor, index), name)
        if bits[owner] is not bits[name] and not np.array_equal(bits[owner], bits[name]):
            raise PackingError(
                f"{source} must hold equal values for {owner!r} and {name!r}, which share their "
                f"memory in this model, got different ones. Load into a model that does not tie "
                f"them."
            )


def _listed(names: list[str]) -> str:
    return _joined([repr(name) for name in names])


def _joined(texts: list[str]) -> str:
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")

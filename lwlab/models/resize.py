"""Giving the tensors of a layer another size, and keeping what the layer says of itself right.

A layer holds its sizes twice: in the shapes of its tensors and in attributes such as
``in_channels``. Whoever removes channels has to change both. Everything here is checked before
anything changes.

An optimizer made before still holds the old parameters: make a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lwlab.checks import check_choice, check_count, check_module
from lwlab.models.layer_sizes import Shape, new_sizes

__all__ = ["replace_tensors_", "resize_"]

Shapes = dict[str, Shape]
Sizes = dict[str, Any]


def replace_tensors_(
    module: nn.Module, tensors: Mapping[str, Tensor], *, groups: int | None = None
) -> None:
    """Give one layer new parameters and buffers, also of another size.

    Convolutions (also transposed), linear layers, batch, instance, group, layer and RMS
    normalization, PReLU and embeddings keep their attributes right: ``in_channels``,
    ``out_channels``, ``groups``, ``in_features``, ``out_features``, ``num_features``,
    ``num_channels``, ``normalized_shape``, ``num_parameters``, ``num_embeddings``,
    ``embedding_dim``. Kernel sizes and ranks stay.

    ``groups`` of a grouped convolution follow from the weight ``(out, in / groups, ...)``: if the
    width of a group stays and ``out`` changes, groups were removed whole, as they are when a
    depthwise convolution loses channels; otherwise their number stays.

    Args:
        module: the layer itself, not a model around it.
        tensors: the new tensors by name (``"weight"``, ``"running_mean"``), of the dtype and on
            the device of the old ones; copied. The others stay, and must fit.
        groups: the number of groups of a convolution or GroupNorm, for who knows it better.

    Raises:
        TypeError: ``module`` is no ``nn.Module``, or a new tensor is none.
        ValueError: the layer is of another kind, parametrized, lazy or computes its tensors; there
            is no such tensor; a dtype or device differs; or the shapes do not fit together.
    """
    title = type(check_module("module", module)).__name__
    _check_tensors(module, title, tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    sizes = new_sizes(module, title, shapes, groups)
    _commit_(module, {name: tensor.detach().clone() for name, tensor in tensors.items()}, sizes)


def resize_(model: nn.Module, shapes: Mapping[str, Iterable[int]]) -> None:
    """Make tensors of ``model`` the given shapes; those that differ come back full of zeros.

    Tied parameters stay tied. A layer without tensors (``LayerNorm(elementwise_affine=False)``)
    keeps its size: nothing in ``shapes`` tells of it.

    Args:
        model: any module.
        shapes: the wanted shapes by state name, such as ``"conv1.weight"``. Tensors that are not
            in it, or have the shape already, stay as they are.

    Raises:
        TypeError: ``model`` is no ``nn.Module``.
        ValueError: there is no such tensor, tied tensors are given different shapes, one shares
            its memory with another, or a layer cannot be resized so: see ``replace_tensors_``.
    """
    modules = dict(check_module("model", model).named_modules(remove_duplicate=False))
    plans: dict[int, tuple[str, nn.Module, Shapes]] = {}
    for name, shape in _changes(modules, shapes).items():
        path, _, tensor_name = name.rpartition(".")
        title = f"layer {path!r}" if path else type(model).__name__
        _, _, wanted = plans.setdefault(id(modules[path]), (title, modules[path], {}))
        wanted[tensor_name] = shape
    sizes = [new_sizes(module, title, wanted) for title, module, wanted in plans.values()]
    new = _zeros([(module, wanted) for _, module, wanted in plans.values()])
    for (_, module, wanted), size in zip(plans.values(), sizes, strict=True):
        _commit_(module, {name: new[id(_held(module)[name])] for name in wanted}, size)


def _changes(modules: dict[str, nn.Module], shapes: Mapping[str, Iterable[int]]) -> Shapes:
    """Return the shapes that differ from what is there, checked for names and for ties."""
    names = {
        f"{path}.{name}" if path else name: tensor
        for path, module in modules.items()
        for name, tensor in _held(module).items()
    }
    first: dict[int, tuple[str, Shape]] = {}
    for name, sizes in shapes.items():
        check_choice("shapes", name, names)
        shape = tuple(check_count(f"shape of {name!r}", size, minimum=0) for size in sizes)
        twin, other = first.setdefault(id(names[name]), (name, shape))
        if other != shape:
            raise ValueError(
                f"shapes must be equal for {twin!r} and {name!r}, which are one tensor in this "
                f"model, got {other} and {shape}."
            )
    asked = {name: first[id(t)][1] for name, t in names.items() if id(t) in first}
    changes = {
        name: shape
        for name, shape in asked.items()
        if is_lazy(names[name]) or shape != tuple(names[name].shape)
    }
    _check_own_memory(names, changes)
    return changes


def _check_own_memory(names: dict[str, Tensor], changes: Iterable[str]) -> None:
    """Check that no tensor to be replaced is a view of another one, or seen through one."""
    owners: dict[int, dict[int, str]] = {}
    for name, tensor in names.items():
        if not is_lazy(tensor) and tensor.layout == torch.strided and tensor.numel():
            address = tensor.untyped_storage().data_ptr()  # 0 on the meta device
            owners.setdefault(address or id(tensor), {}).setdefault(id(tensor), name)
    for sharing in owners.values():
        resized = [name for name in sharing.values() if name in changes]
        if len(sharing) > 1 and resized:
            other = next(name for name in sharing.values() if name != resized[0])
            raise ValueError(
                f"{resized[0]!r} must have its memory for itself to be resized, got memory shared "
                f"with {other!r}. Give one of them a copy."
            )


def _zeros(wanted: Iterable[tuple[nn.Module, Shapes]]) -> dict[int, Tensor]:
    """Return the new tensors by the identity of the old ones, so that what is one stays one."""
    new: dict[int, Tensor] = {}
    for module, shapes in wanted:
        for name, shape in shapes.items():
            old = _held(module)[name]
            if id(old) not in new:
                zeros = old.detach().new_zeros(shape)
                is_parameter = isinstance(old, nn.Parameter)
                new[id(old)] = nn.Parameter(zeros, old.requires_grad) if is_parameter else zeros
    return new


def _held(module: nn.Module) -> dict[str, Tensor]:
    both = {**module._parameters, **module._buffers}
    return {name: tensor for name, tensor in both.items() if tensor is not None}


def _check_tensors(module: nn.Module, title: str, tensors: Mapping[str, Tensor]) -> None:
    """Check that each new tensor can take the place of an old one, its shape aside."""
    held = _held(module)
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} of {title} must be a tensor, got {type(tensor).__name__}.")
        old = held.get(name)
        if old is not None and (tensor.dtype, tensor.device) != (old.dtype, old.device):
            raise ValueError(
                f"{name} of {title} must be {old.dtype} on {old.device}, as it was, got "
                f"{tensor.dtype} on {tensor.device}."
            )


def _commit_(module: nn.Module, tensors: Mapping[str, Tensor], sizes: Sizes) -> None:
    for name, tensor in tensors.items():
        old = module._parameters.get(name)
        if old is None:
            module._buffers[name] = tensor
        elif isinstance(tensor, nn.Parameter):
            module._parameters[name] = tensor
        else:
            module._parameters[name] = nn.Parameter(tensor, old.requires_grad)
    for name, value in sizes.items():
        setattr(module, name, value)

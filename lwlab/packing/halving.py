"""Half precision, on purpose: float32 tensors rounded to values that two bytes can hold.

A float16 has 11 significant bits, about three decimal digits, and reaches from 6e-8 to 65,504. For
biases and the numbers of a BatchNorm that is mostly enough, and where all elements of a tensor are
such values, a packed file holds it in two bytes each without any further loss. The tensors stay
float32; only their values change.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils import parametrize

from lwlab.checks import check_module, did_you_mean, quoted_list
from lwlab.models.layers import compressible_layers, plain_state

__all__ = ["halve_"]

_GROUPS = ("biases", "batchnorm", "all")
_LARGEST = 65504.0  # of float16


def halve_(model: nn.Module, *, tensors: str | Iterable[str] = "biases") -> tuple[str, ...]:
    """Round float32 parameters and buffers of ``model`` to the nearest float16 value, in place.

    Nearest, ties to even (IEEE 754): 0.1 becomes 0.0999755859375, 2049 becomes 2048. Doing it twice
    changes nothing more. Parametrized tensors, such as pruned or quantized weights, are left alone.

    Args:
        model: any; its outputs change a little.
        tensors: ``"biases"``, of convolutions and linear layers; ``"batchnorm"``, weight, bias and
            running statistics of normalizations over the batch; ``"all"`` of the model; or names.

    Returns:
        The names of the tensors that were rounded, in the model's order.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``, or ``tensors`` are not names.
        ValueError: a name is unknown or not a plain float32 tensor; an element is not finite or
            too large for float16; a running variance above 0 would become 0. The model is as it
            was.
    """
    names = _chosen(check_module("model", model), tensors)
    state = plain_state(model)
    rounded = {name: _rounded(name, state[name]) for name in state if name in names}
    with torch.no_grad():
        for name, values in rounded.items():
            state[name].copy_(values)
    return tuple(rounded)


def _chosen(model: nn.Module, tensors: str | Iterable[str]) -> set[str]:
    known = _plain_floats(model)
    if isinstance(tensors, str) and tensors in _GROUPS:
        group = {"biases": _biases, "batchnorm": _batchnorm, "all": lambda _: known}[tensors]
        return set(group(model)) & set(known)
    if isinstance(tensors, str) or not isinstance(tensors, Iterable):
        hint = did_you_mean(tensors, _GROUPS)
        kind = ValueError if isinstance(tensors, str) else TypeError
        raise kind(
            f"tensors must be {quoted_list(_GROUPS)} or a list of names, got {tensors!r}.{hint}"
        )
    names = list(tensors)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(
                f"tensors must name float32 tensors of the model that are not parametrized, "
                f"got {name!r}.{hint}"
            )
    return set(names)


def _plain_floats(model: nn.Module) -> list[str]:
    """Return the names of what may be rounded."""
    modules = dict(model.named_modules(remove_duplicate=False))
    names = []
    for name, tensor in plain_state(model).items():
        prefix, _, own_name = name.rpartition(".")
        owner = modules.get(prefix)
        if tensor.dtype == torch.float32 and not parametrize.is_parametrized(owner, own_name):
            names.append(name)
    return names


def _biases(model: nn.Module) -> list[str]:
    layers = {id(layer.module) for layer in compressible_layers(model)}
    return [name for name, module, own in _owned(model) if id(module) in layers and own == "bias"]


def _batchnorm(model: nn.Module) -> list[str]:
    return [name for name, module, _ in _owned(model) if isinstance(module, _NormBase)]


def _owned(model: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """Return (dotted path, owner, name in the owner) of each parameter and buffer."""
    return [
        (f"{prefix}.{name}" if prefix else name, module, name)
        for prefix, module in model.named_modules(remove_duplicate=False)
        for name in (*module._parameters, *module._buffers)
    ]


def _rounded(name: str, tensor: Tensor) -> Tensor:
    """Return the values of ``tensor`` in half precision, as float32."""
    values = tensor.to(torch.float16).to(torch.float32)
    if not torch.isfinite(values).all():
        largest = float(tensor.abs().max())
        raise ValueError(
            f"{name} must have elements of at most {_LARGEST:g} to be halved, got {largest:g}. "
            f"Leave it out of tensors."
        )
    if name.rpartition(".")[2] == "running_var" and bool(((tensor > 0) & (values == 0)).any()):
        smallest = float(tensor[tensor > 0].min())
        raise ValueError(
            f"{name} must have variances that stay above 0 in half precision, got {smallest:g}. "
            f"Fold the BatchNorm first, or leave it out of tensors."
        )
    return values

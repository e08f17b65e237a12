"""What must be true of a model and of the wishes before a plan is made: one sentence each."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lwlab.checks import (
    check_finite,
    check_fraction,
    check_module,
    did_you_mean,
    one_line,
)
from lwlab.prune.channels.coupling import Coupling
from lwlab.prune.masking import bake_

__all__ = ["plain_copy", "ratios_of"]


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` with its masks made permanent, checked that it can be cut.

    Raises:
        TypeError: ``model`` is no ``nn.Module``.
        ValueError: it is lazy, compiled, TorchScript or on the meta device, holds NaN or infinite
            numbers, or cannot be copied or baked.
    """
    check_module("model", model)
    if hasattr(model, "_orig_mod"):
        raise ValueError("model must not be compiled, got one from torch.compile. Cut it before.")
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"model must be made of Python modules, got TorchScript in layer "
                f"{path or 'model'!r}. Take the module that it was made from."
            )
        _check_values(path or "model", module)
    try:
        copied = copy.deepcopy(model)
    except Exception as error:
        raise ValueError(f"model must be one that can be copied, got {one_line(error)}") from error
    bake_(copied)
    return copied


def _check_values(path: str, module: nn.Module) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if is_lazy(parameter) or parameter.is_meta:
            kind = type(module).__name__
            got = f"an uninitialized {kind}" if is_lazy(parameter) else "one on the meta device"
            what = "Run the model once on a batch" if is_lazy(parameter) else "Build it on the CPU"
            raise ValueError(
                f"layer {path!r} must have values before channels can be removed, got {got}. "
                f"{what}."
            )
        check_finite(f"{name} of layer {path!r}", parameter.detach())


def ratios_of(
    pruning_ratio: float | Mapping[str, float],
    couplings: list[Coupling],
    layers: Iterable[str] | None,
) -> dict[int, float]:
    """Return the ratio of each group that is to be cut, by its index in ``couplings``.

    Raises:
        TypeError: a ratio is not a number, or ``layers`` a single text.
        ValueError: a ratio is not in [0, 1), a name is unknown or refused, or two names give one
            group different ratios.
    """
    owner = {name: index for index, c in enumerate(couplings) for name in c.producers}
    if isinstance(pruning_ratio, Mapping):
        if layers is not None:
            message = "layers must be left out with a dict as pruning_ratio, which names them."
            raise ValueError(message)
        return _ratios_by_name(pruning_ratio, couplings, owner)
    ratio = check_fraction("pruning_ratio", pruning_ratio)
    if layers is None:
        return {index: ratio for index, c in enumerate(couplings) if c.reason is None}
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got {layers!r}. Try [{layers!r}].")
    chosen = {_group_of("layers", name, couplings, owner) for name in layers}
    if not chosen:
        raise ValueError("layers must name at least one layer, got none. Leave it out for all.")
    return dict.fromkeys(sorted(chosen), ratio)


def _ratios_by_name(
    pruning_ratio: Mapping[str, float], couplings: list[Coupling], owner: dict[str, int]
) -> dict[int, float]:
    ratios: dict[int, float] = {}
    for name, value in pruning_ratio.items():
        ratio = check_fraction(f"pruning_ratio of layer {name!r}", value)
        index = _group_of("pruning_ratio", name, couplings, owner)
        if ratios.setdefault(index, ratio) != ratio:
            raise ValueError(
                f"pruning_ratio must be equal for {', '.join(couplings[index].producers)}, which "
                f"are cut together, got {ratios[index]} and {ratio}."
            )
    if not ratios:
        raise ValueError("pruning_ratio must name at least one layer, got an empty dict.")
    return dict(sorted(ratios.items()))


def _group_of(argument: str, name: Any, couplings: list[Coupling], owner: dict[str, int]) -> int:
    allowed = [known for known, index in owner.items() if couplings[index].reason is None]
    if name in owner and couplings[owner[name]].reason is not None:
        raise ValueError(
            f"{argument} must name layers that can be cut, got {name!r}: "
            f"{couplings[owner[name]].reason}."
        )
    if name not in owner:
        hint = did_you_mean(name, allowed)
        raise ValueError(
            f"{argument} must name layers whose outputs can be cut, {', '.join(allowed)}, got "
            f"{name!r}.{hint}"
        )
    return owner[name]

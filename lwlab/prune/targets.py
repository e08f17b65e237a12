"""Which tensors of a model a mask may sit on, and whether it can.

By default the weights of the convolutions and linear layers. Biases and normalization are left
alone unless they are asked for: they are few, and much hangs on each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from lwlab.checks import check_choice, check_finite
from lwlab.models.layers import layer_names
from lwlab.prune.parametrization import mask_of, original_of

__all__ = ["Target", "all_targets", "check_masks", "check_targets", "select_targets"]

_BEHIND = ".parametrizations."


@dataclass(frozen=True)
class Target:
    """A tensor that can be masked.

    Attributes:
        name: the layer's dotted name for its weight (``"conv1"``), with ``.bias`` for its bias.
        module: the layer.
        tensor_name: ``"weight"`` or ``"bias"``.
    """

    name: str
    module: nn.Module
    tensor_name: str

    @property
    def original(self) -> Tensor:
        """The parameter as the optimizer sees it, without any mask."""
        return original_of(self.module, self.tensor_name)

    @property
    def title(self) -> str:
        """How an error calls it: ``weight of layer 'conv1'``."""
        layer = self.name.removesuffix(".bias") if self.tensor_name == "bias" else self.name
        return f"{self.tensor_name} of layer {layer!r}"


def all_targets(model: nn.Module) -> dict[str, Target]:
    """Return every tensor that could be asked for, by name: each ``weight`` and its ``bias``.

    A module that owns a tensor called ``weight`` counts, normalization and embeddings too.
    """
    targets = {}
    for path, module in model.named_modules():
        if not _holds(module, "weight"):
            continue
        name = path or "model"
        targets[name] = Target(name, module, "weight")
        if _holds(module, "bias"):
            targets[f"{name}.bias"] = Target(f"{name}.bias", module, "bias")
    return targets


def _holds(module: nn.Module, tensor_name: str) -> bool:
    # Looked up and not read: reading a masked weight computes it.
    return parametrize.is_parametrized(module, tensor_name) or isinstance(
        module._parameters.get(tensor_name, vars(module).get(tensor_name)), Tensor
    )


def select_targets(
    model: nn.Module, layers: Iterable[str] | None = None, *, biases: bool = False
) -> dict[str, Target]:
    """Return the tensors to mask by name, in the model's order.

    Args:
        model: any module.
        layers: names of layers; None takes all convolutions and linear layers.
        biases: take their biases as well.

    Raises:
        TypeError: ``model`` is no module, or ``layers`` is a single text.
        ValueError: there is no such layer, or none at all.
    """
    default = layer_names(model)
    if layers is None and not default:
        raise ValueError(
            f"model must have a convolution or linear layer to prune, got {type(model).__name__} "
            f"without one."
        )
    targets = all_targets(model)
    weights = [name for name, target in targets.items() if target.tensor_name == "weight"]
    wanted = set(default if layers is None else _check_layers(layers, weights))
    return {
        name: target
        for name, target in targets.items()
        if name in wanted or (biases and name.removesuffix(".bias") in wanted)
    }


def _check_layers(layers: Iterable[str], allowed: list[str]) -> list[str]:
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got {layers!r}. Try [{layers!r}].")
    names = [check_choice("layers", name, allowed) for name in layers]
    if not names:
        raise ValueError("layers must name at least one layer, got none. Leave it out for all.")
    return names


def check_targets(model: nn.Module, targets: dict[str, Target]) -> None:
    """Check that each target can take a mask; nothing is changed.

    Raises:
        ValueError: a weight is lazy, computed, shared, under a foreign parametrization, not a
            floating-point tensor, or not finite. The sentence names the layer.
    """
    owners = _owners(model)
    for target in targets.values():
        _check_free(target)
        _check_values(target)
        others = [o for o in owners[id(target.original)] if o != _tensor_path(target)]
        if others:
            raise ValueError(
                f"{target.title} must be its own to be masked, got one shared with "
                f"{others[0]!r}. Leave the layer out: name the others in layers=[...]."
            )


def _check_free(target: Target) -> None:
    """Check that a mask would come first: nothing but a Mask stands before it."""
    module, tensor_name = target.module, target.tensor_name
    if parametrize.is_parametrized(module, tensor_name) and mask_of(module, tensor_name) is None:
        other = type(module.parametrizations[tensor_name][0]).__name__
        raise ValueError(
            f"{target.title} must be free or masked, got one under {other}. Mask first, then "
            f"add the rest."
        )
    if original_of(module, tensor_name) is None:
        raise ValueError(
            f"{target.title} must be a parameter, got a tensor that is computed from others, "
            f"as torch.nn.utils.prune and weight_norm do. Make that permanent first."
        )


def _check_values(target: Target) -> None:
    original = target.original
    if is_lazy(original):
        raise ValueError(
            f"{target.title} must have values before it can be masked, got an uninitialized "
            f"{type(target.module).__name__}. Run the model once on a batch."
        )
    if original.is_meta:
        raise ValueError(
            f"{target.title} must have values before it can be masked, got one on the meta device. "
            f"Build the model on the CPU."
        )
    if not original.is_floating_point():
        raise ValueError(f"{target.title} must be floating point, got {original.dtype}.")
    check_finite(target.title, original.detach())


def check_masks(model: nn.Module) -> None:
    """Check that each mask on ``model`` fits its weight: only then is the weight defined.

    A mask that was put on fits; its buffer can be overwritten later. Masking the layer anew heals
    it, and so does not ask for this.

    Raises:
        ValueError: a mask is not a bool tensor of its weight's shape. The sentence names the layer.
    """
    for target in all_targets(model).values():
        present, original = mask_of(target.module, target.tensor_name), target.original
        if present is None or original is None:
            continue
        mask, shape = present.mask, tuple(original.shape)
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != shape:
            tensor = isinstance(mask, Tensor)
            got = f"{mask.dtype} {tuple(mask.shape)}" if tensor else type(mask).__name__
            raise ValueError(
                f"mask of layer {target.name!r} must be a bool tensor of shape {shape}, as its "
                f"{target.tensor_name}, got {got}. Put another one on with apply_masks_."
            )


def _owners(model: nn.Module) -> dict[int, list[str]]:
    """Return, for each parameter, the paths of the modules that hold it (more than one: tied)."""
    owners: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append(_plain_path(f"{path}.{name}"))
    return owners


def _plain_path(path: str) -> str:
    """Return the plain name of a parameter that torch keeps under ``parametrizations``."""
    if _BEHIND in f".{path}":
        path = f".{path}".replace(_BEHIND, ".", 1).removesuffix(".original")
    return path.removeprefix(".")


def _tensor_path(target: Target) -> str:
    layer = target.name.removesuffix(".bias") if target.tensor_name == "bias" else target.name
    return target.tensor_name if layer == "model" else f"{layer}.{target.tensor_name}"

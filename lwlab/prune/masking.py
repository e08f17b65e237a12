"""Masks on a model: choose them, put them on, make them permanent.

    choose_masks   reads the model and returns masks; nothing changes
    apply_masks_   puts ready masks on the model
    mask_model_    does both
    current_masks  reads the masks that are on
    bake_          makes them permanent: a plain model with zeros in its weights

A masked model still trains (see ``parametrization``), can be deep-copied, and its ``state_dict``
loads into a model that was masked in the same places. Masks alone make no model smaller or faster:
the zeros are stored and multiplied like any number, until ``packing`` leaves them out of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_fraction, check_module, did_you_mean
from lwlab.prune.importance import Importance, layer_importances, magnitude
from lwlab.prune.masks import deviation_mask, global_masks, threshold_mask
from lwlab.prune.parametrization import fold_mask_, mask_of, set_mask_
from lwlab.prune.targets import all_targets, check_masks, check_targets, select_targets

__all__ = ["apply_masks_", "bake_", "choose_masks", "current_masks", "mask_model_"]

_TENSOR_NAMES = ("weight", "bias")


def mask_model_(
    model: nn.Module,
    *,
    sparsity: float | Mapping[str, float] | None = None,
    threshold: float | None = None,
    deviations: float | None = None,
    scope: str = "global",
    importance: Importance = magnitude,
    layers: Iterable[str] | None = None,
    biases: bool = False,
) -> dict[str, Tensor]:
    """Prune ``model``: put masks on its weights and return them by layer name.

    Takes the arguments of ``choose_masks``, raises its errors, and changes nothing if it does.
    A model that is masked already gets the new masks in place of the old ones, chosen on the
    stored originals: a lower sparsity brings weights back, with the value they had when they were
    pruned (training moves only the weights that are kept; weight decay shrinks all).
    To keep pruned weights pruned, score the effective weights, where they are 0::

        scores = {layer.name: magnitude(layer.weight) for layer in compressible_layers(model)}
        mask_model_(model, sparsity=0.9, importance=scores)
    """
    masks = choose_masks(
        model,
        sparsity=sparsity,
        threshold=threshold,
        deviations=deviations,
        scope=scope,
        importance=importance,
        layers=layers,
        biases=biases,
    )
    targets = all_targets(model)
    for name, mask in masks.items():
        set_mask_(targets[name].module, targets[name].tensor_name, mask)
    return masks


@torch.no_grad()
def choose_masks(
    model: nn.Module,
    *,
    sparsity: float | Mapping[str, float] | None = None,
    threshold: float | None = None,
    deviations: float | None = None,
    scope: str = "global",
    importance: Importance = magnitude,
    layers: Iterable[str] | None = None,
    biases: bool = False,
) -> dict[str, Tensor]:
    """Return masks for ``model`` by layer name (``"conv1"``; ``"conv1.bias"`` for a bias).

    Args:
        model: any module with convolutions or linear layers.
        sparsity: prune exactly this fraction of the weights, in [0, 1). A dict gives each layer
            its own, and leaves the layers that are not in it as they are.
        threshold: prune ``|w| < threshold``: one number for all layers.
        deviations: prune ``|w| < deviations * std(w)``, by the spread of each layer.
        scope: with one ``sparsity``: ``"global"`` counts over all layers together, ``"layer"`` in
            each. The others have no choice of scope: a threshold is one number for all layers,
            deviations and a dict go by the layer.
        importance: what ``sparsity`` keeps: see ``importance.layer_importances``. It is computed
            on the unmasked weights.
        layers: names of the layers to prune; None takes all convolutions and linear layers. A
            normalization layer can be asked for by its name.
        biases: prune the biases of these layers as well.

    Raises:
        TypeError: ``model`` is no module, or an argument has the wrong type.
        ValueError: not exactly one of ``sparsity``, ``threshold`` and ``deviations`` is given; one
            is out of range; a layer does not exist or cannot be masked (lazy, tied to another, NaN
            or infinite weights, under a foreign parametrization).
    """
    _check_rule(sparsity, threshold, deviations, importance)
    check_choice("scope", scope, ("global", "layer"))
    if isinstance(sparsity, Mapping):
        layers = _layers_of(sparsity, layers)
    targets = select_targets(model, layers, biases=biases)
    check_targets(model, targets)
    weights = {name: target.original.detach() for name, target in targets.items()}
    if threshold is not None:
        return {name: threshold_mask(weight, threshold) for name, weight in weights.items()}
    if deviations is not None:
        return {name: deviation_mask(weight, deviations) for name, weight in weights.items()}
    return _masks_by_sparsity(layer_importances(weights, importance), sparsity, scope)


def _check_rule(sparsity: Any, threshold: Any, deviations: Any, importance: Importance) -> None:
    """Check that exactly one way to cut is given, and nothing that it would ignore."""
    rules = {"sparsity": sparsity, "threshold": threshold, "deviations": deviations}
    given = [name for name, value in rules.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"exactly one of sparsity, threshold and deviations must be given, got "
            f"{' and '.join(given) or 'none'}. Try sparsity=0.5 alone."
        )
    if sparsity is None and importance is not magnitude:
        raise ValueError(
            f"importance must be left out with {given[0]}, which looks at |weight| itself. "
            f"Try sparsity instead."
        )


def _layers_of(sparsity: Mapping[str, float], layers: Iterable[str] | None) -> list[str]:
    if layers is not None:
        raise ValueError("layers must be left out with a dict as sparsity, which names them.")
    for name, value in sparsity.items():
        check_fraction(f"sparsity of layer {name!r}", value)
    return list(sparsity)


def _masks_by_sparsity(
    importances: dict[str, Tensor], sparsity: float | Mapping[str, float], scope: str
) -> dict[str, Tensor]:
    if isinstance(sparsity, Mapping):
        fractions = {**{f"{name}.bias": value for name, value in sparsity.items()}, **sparsity}
    elif scope == "global":
        return global_masks(importances, sparsity)
    else:
        fractions = dict.fromkeys(importances, check_fraction("sparsity", sparsity))
    # A layer alone is the global case of one layer, with the layer's name in its errors.
    return {
        name: global_masks({name: importance}, fractions[name])[name]
        for name, importance in importances.items()
    }


def apply_masks_(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Put ready masks on ``model``, such as ``choose_masks`` returns; others stay as they are.

    Args:
        model: any module.
        masks: bool tensors by layer name, each of its weight's shape; copied.

    Raises:
        TypeError: ``model`` is no module, or a mask is not a bool tensor.
        ValueError: a layer does not exist or cannot be masked, or a shape is wrong. The model is
            as it was.
    """
    allowed = all_targets(check_module("model", model))
    for name in masks:
        if name not in allowed:
            raise ValueError(
                f"masks must go by the names of layers, got {name!r}.{did_you_mean(name, allowed)}"
            )
    targets = {name: allowed[name] for name in masks}
    check_targets(model, targets)
    for name, mask in masks.items():
        _check_mask(f"mask of layer {name!r}", mask, targets[name].original)
    for name, target in targets.items():
        set_mask_(target.module, target.tensor_name, masks[name])


def _check_mask(name: str, mask: Tensor, weight: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{name} must be a bool tensor, got {kind}. Try mask.bool().")
    if mask.shape != weight.shape:
        raise ValueError(
            f"{name} must have the shape of its weight, {tuple(weight.shape)}, "
            f"got {tuple(mask.shape)}."
        )


def current_masks(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the masks on ``model`` by layer name; empty where there are none.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: a mask was overwritten and no longer fits its weight.
    """
    return {
        name: mask_of(module, tensor_name).mask.clone()
        for name, module, tensor_name in _masked(model)
    }


def bake_(model: nn.Module) -> None:
    """Make the masks permanent: ``model`` becomes plain again, with zeros where it was pruned.

    Nothing holds the zeros at 0 from here on: training moves them like any weight. The parameters
    stay the same objects. A model without masks is left as it is.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: another parametrization stands on a masked weight, or a mask was overwritten
            and no longer fits its weight. The model is as it was.
    """
    masked = _masked(model)
    for name, module, tensor_name in masked:
        others = list(module.parametrizations[tensor_name])[1:]
        if others:
            raise ValueError(
                f"{tensor_name} of layer {name.removesuffix('.bias')!r} must have a Mask alone to "
                f"be baked, got {type(others[0]).__name__} on top of it. Remove that first."
            )
    for _, module, tensor_name in masked:
        fold_mask_(module, tensor_name)


def _masked(model: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """Return (layer name, module, tensor name) of each tensor with a mask, which fits it."""
    check_masks(check_module("model", model))
    return [
        ((path or "model") + (".bias" if tensor_name == "bias" else ""), module, tensor_name)
        for path, module in model.named_modules()
        for tensor_name in _TENSOR_NAMES
        if mask_of(module, tensor_name) is not None
    ]

"""Pruning further: a higher sparsity on a model that is masked already; what is pruned stays so.

    importance of a pruned weight = minus infinity, of any other as the criterion says

So only the weights that are left are up for choice, whatever the criterion, and the count is exact.
Next: ``iterative`` and ``lottery``, which train between such cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_fraction
from lwlab.prune.importance import Importance, layer_importances, magnitude
from lwlab.prune.masking import mask_model_
from lwlab.prune.parametrization import mask_of
from lwlab.prune.targets import Target, check_targets, select_targets

__all__ = [
    "ModelImportance",
    "Sparsity",
    "check_criterion",
    "check_higher",
    "prunable",
    "prune_further_",
    "pruned_share",
    "sparsity_by_layer",
]

ModelImportance = Callable[[nn.Module], Mapping[str, Tensor]]
"""``model -> importance by layer name``, for criteria that need data."""

Sparsity = float | Mapping[str, float]
"""One fraction, or one for each layer by name."""


@torch.no_grad()
def prune_further_(
    model: nn.Module,
    *,
    sparsity: Sparsity,
    scope: str = "global",
    importance: Importance = magnitude,
    model_importance: ModelImportance | None = None,
    layers: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Prune ``model`` to a higher ``sparsity``: what is pruned stays so. Return the masks.

    As ``mask_model_``, except that pruned weights go first, whatever the criterion says, and the
    others are scored as they are now. The sparsity counts all weights, those pruned before too.

    Args:
        model: any module, masked or not.
        sparsity: fraction in [0, 1) of all weights; a dict gives each layer its own.
        scope: with one ``sparsity``: ``"global"`` counts over all layers together, ``"layer"`` in
            each.
        importance: a function of *one weight tensor*, such as ``magnitude``; or
            ``RandomImportance(seed)``; or ready tensors by layer name.
        model_importance: in its place, a function of the *model* that returns tensors by layer
            name, such as ``lambda model: taylor_importance(model, dataset.train.take(500))``.
        layers: names of layers; None takes all convolutions and linear layers.

    Raises:
        TypeError, ValueError: as for ``mask_model_``; also if both criteria are given, or if more
            is pruned already than ``sparsity`` wants. The model is as it was.
    """
    targets = prunable(model, sparsity, layers)
    wanted = sparsity_by_layer(targets, sparsity, scope)
    check_criterion(importance, model_importance)
    chosen = None if isinstance(wanted, dict) else list(targets)
    for name, fraction in wanted.items() if isinstance(wanted, dict) else ():
        check_higher(f"sparsity of layer {name!r}", fraction, [targets[name]])
    if not isinstance(wanted, dict):
        check_higher("sparsity", wanted, targets.values())
    source = importance if model_importance is None else _asked(model_importance, model)
    weights = {name: torch.where(kept(t), t.original.detach(), 0) for name, t in targets.items()}
    scores = {
        name: _lowest_where_pruned(score, kept(targets[name]))
        for name, score in layer_importances(weights, source).items()
    }
    return mask_model_(model, sparsity=wanted, importance=scores, layers=chosen)


def kept(target: Target) -> Tensor:
    """Return the mask on ``target``; all True where there is none."""
    mask = mask_of(target.module, target.tensor_name)
    return torch.ones_like(target.original, dtype=torch.bool) if mask is None else mask.mask


def pruned_share(targets: Iterable[Target]) -> float:
    """Return the fraction of all weights of ``targets`` that masks prune, counted."""
    masks = [kept(target) for target in targets]
    return sum(int((~mask).sum()) for mask in masks) / max(1, sum(m.numel() for m in masks))


def prunable(
    model: nn.Module,
    sparsity: Sparsity,
    layers: Iterable[str] | None = None,
    name: str = "sparsity",
) -> dict[str, Target]:
    """Return the weights that ``sparsity`` and ``layers`` mean, each checked, by layer name.

    An error calls the ``sparsity`` by ``name``.

    Raises:
        TypeError, ValueError: a layer does not exist or cannot be masked, or layers are named
            twice.
    """
    if isinstance(sparsity, Mapping):
        if layers is not None:
            raise ValueError(f"layers must be left out with a dict as {name}, which names them.")
        layers = list(sparsity)
    targets = select_targets(model, layers)
    check_targets(model, targets)
    return targets


def sparsity_by_layer(
    targets: Iterable[str], sparsity: Sparsity, scope: str
) -> dict[str, float] | float:
    """Return checked fractions by layer name, or one where all layers count together.

    Raises:
        TypeError, ValueError: a fraction or the scope is out of range.
    """
    check_choice("scope", scope, ("global", "layer"))
    if isinstance(sparsity, Mapping):
        return {n: check_fraction(f"sparsity of layer {n!r}", s) for n, s in sparsity.items()}
    fraction = check_fraction("sparsity", sparsity)
    return fraction if scope == "global" else dict.fromkeys(targets, fraction)


def check_higher(name: str, wanted: float, targets: Iterable[Target]) -> None:
    """Check that ``wanted`` brings no pruned weight back.

    Raises:
        ValueError: more is pruned already.
    """
    targets = list(targets)
    present, total = pruned_share(targets), sum(t.original.numel() for t in targets)
    if round(wanted * total) < round(present * total):
        raise ValueError(
            f"{name} must be at least {present:g}, which is pruned already, got {wanted:g}. "
            f"To bring weights back, use mask_model_."
        )


def check_criterion(importance: Importance, model_importance: ModelImportance | None) -> None:
    """Check that there is one criterion.

    Raises:
        TypeError: ``model_importance`` cannot be called.
        ValueError: both are given.
    """
    if model_importance is None:
        return
    if importance is not magnitude:
        raise ValueError("importance must be left out with model_importance, got both.")
    if not callable(model_importance):
        raise TypeError(
            f"model_importance must be a function of the model, got "
            f"{type(model_importance).__name__}. Ready tensors by layer name go to importance."
        )


def _asked(model_importance: ModelImportance, model: nn.Module) -> Mapping[str, Tensor]:
    found = model_importance(model)
    if not isinstance(found, Mapping):
        raise TypeError(
            f"model_importance must return tensors by layer name, got {type(found).__name__}."
        )
    return found


def _lowest_where_pruned(score: Tensor, mask: Tensor) -> Tensor:
    """Return ``score``, minus infinity where ``mask`` is False and above that elsewhere."""
    score = score if score.is_floating_point() else score.double()
    lowest = torch.finfo(score.dtype).min
    return torch.where(mask, score.clamp(min=lowest), -torch.inf)

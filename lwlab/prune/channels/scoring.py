"""How much each channel of a group matters: one score for all layers that would lose it.

    score[c] = mean over the group's votes of  s_vote[c] / mean(s_vote)

A vote is what the criterion says of the numbers that one layer would lose with channel c: its norm,
for example. Votes are divided by their mean, so that a layer with large weights does not outvote
the others, and that groups can be ranked against each other. A criterion that is a function of
weights hears everybody: the filters that make the channel, the scale that a normalization gives it
(behind a BatchNorm the length of a filter says nothing), and the columns that read it. Ready scores
and random ones come from those whose filters go alone: producers and depthwise convolutions.

Source: Fang et al. 2023, "DepGraph: towards any structural pruning", arXiv:2301.12900 (scores over
a whole group); Li et al. 2017, "Pruning filters for efficient ConvNets", arXiv:1608.08710 (norms).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from lwlab.checks import check_finite
from lwlab.prune.channels.coupling import Coupling
from lwlab.prune.channels.flow import Flow, Ports
from lwlab.prune.channels.layer_rules import is_depthwise
from lwlab.prune.importance import Importance, RandomImportance

__all__ = ["coupling_scores"]


def coupling_scores(
    flow: Flow, couplings: list[Coupling], importance: Importance
) -> list[np.ndarray]:
    """Return the scores of each group, float64 ``(channels,)``.

    Raises:
        TypeError: ``importance`` is no function, RandomImportance or dict, or a score no tensor.
        ValueError: a score has the wrong shape or is not finite, or none is there for a group.
    """
    if not (isinstance(importance, (RandomImportance, Mapping)) or callable(importance)):
        raise TypeError(
            "importance must be a function of a weight, RandomImportance(seed) or a dict of "
            f"tensors by layer name, got {type(importance).__name__}. Try lwlab.prune.filter_norm."
        )
    modules = {name or "model": module for name, module in flow.model.named_modules()}
    roots = flow.positions.roots()
    return [_scores(flow, coupling, modules, roots, importance) for coupling in couplings]


def _scores(
    flow: Flow,
    coupling: Coupling,
    modules: dict[str, nn.Module],
    roots: np.ndarray,
    importance: Importance,
) -> np.ndarray:
    votes = []
    for name, ports in flow.ports.items():
        makes = name in coupling.producers or is_depthwise(modules[name])
        for positions, filters in _voters(modules[name], ports, makes, importance):
            mine = np.isin(roots[positions], coupling.roots)
            scores = _layer_scores(name, filters, importance) if mine.any() else None
            if scores is not None:
                # Several places of a layer can be one channel: their mean.
                index = np.searchsorted(coupling.roots, roots[positions][mine])
                votes.append(_mean_by(index, scores[mine], len(coupling.roots)))
    # A layer may have some of the channels only (a concatenation): the mean of those who have.
    if not votes or np.isnan(votes).all(axis=0).any():
        raise ValueError(
            f"importance must hold a layer for each channel of a group, got too few of "
            f"{', '.join(map(repr, coupling.producers))}."
        )
    return np.nanmean(votes, axis=0)


def _voters(
    module: nn.Module, ports: Ports, makes: bool, importance: Importance
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yield the positions that a layer has a say on, and what it would lose with each."""
    if makes and ports.outputs is not None:
        yield ports.outputs, filters_first(module)
    if isinstance(importance, (RandomImportance, Mapping)):
        return
    normalizes = isinstance(module, (_NormBase, nn.GroupNorm)) and module.weight is not None
    if normalizes and ports.outputs is not None:
        yield ports.outputs, module.weight.detach()[:, None]
    reads = isinstance(module, (_ConvNd, nn.Linear)) and not ports.follows
    if reads and ports.inputs is not None:
        yield ports.inputs, readers_first(module)


def _mean_by(index: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return the mean of the values of each index; NaN where there is none."""
    counts = np.bincount(index, minlength=count)
    sums = np.bincount(index, values, count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _layer_scores(name: str, weight: Tensor, importance: Importance) -> np.ndarray | None:
    """Return the scores of a layer's filters over their mean; None where a dict has none."""
    if isinstance(importance, RandomImportance):
        scores: Any = importance.of_layer(name, weight.new_empty(len(weight)))
    elif isinstance(importance, Mapping):
        if name not in importance:
            return None
        scores = importance[name]
    else:
        scores = importance(weight)
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"importance of layer {name!r} must be a tensor, got {type(scores).__name__}."
        )
    if scores.shape != (len(weight),):
        raise ValueError(
            f"importance of layer {name!r} must be of shape ({len(weight)},), one number per "
            f"output channel, got {tuple(scores.shape)}. Try filter_norm."
        )
    found = check_finite(f"importance of layer {name!r}", scores.detach()).double().cpu().numpy()
    mean = np.abs(found).mean()
    return found / mean if mean > 0 else found


def filters_first(module: nn.Module) -> Tensor:
    """Return a weight as ``(out, in / groups, *kernel)``, also where a layer keeps it turned."""
    weight = module.weight.detach()
    if isinstance(module, nn.Embedding):
        return weight.T
    if getattr(module, "transposed", False):  # (in, out / groups, *kernel)
        blocks = weight.unflatten(0, (module.groups, -1)).transpose(1, 2)
        return blocks.flatten(0, 1)
    return weight


def readers_first(module: nn.Module) -> Tensor:
    """Return a weight as ``(in, out / groups, *kernel)``: what each input is multiplied with."""
    weight = module.weight.detach()
    if getattr(module, "transposed", False):
        return weight
    blocks = weight.unflatten(0, (getattr(module, "groups", 1), -1)).transpose(1, 2)
    return blocks.flatten(0, 1)

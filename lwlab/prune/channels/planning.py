"""plan_channels: from a model and a ratio to a plan. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lwlab.checks import check_choice
from lwlab.measure import num_parameters
from lwlab.models.layers import layer_names
from lwlab.prune.channels.checking import plain_copy, ratios_of
from lwlab.prune.channels.choosing import choose_globally, choose_in_group
from lwlab.prune.channels.coupling import Coupling, couple, flow_through
from lwlab.prune.channels.cutting import LayerCut, count_removed
from lwlab.prune.channels.flow import Flow
from lwlab.prune.channels.layer_rules import is_layer
from lwlab.prune.channels.plan import ChannelGroup, ChannelPlan, Edge, Node, Refusal
from lwlab.prune.channels.scoring import coupling_scores
from lwlab.prune.channels.trace import trace
from lwlab.prune.importance import Importance
from lwlab.prune.structured import filter_norm

__all__ = ["plan_channels"]


def plan_channels(
    model: nn.Module,
    *,
    pruning_ratio: float | Mapping[str, float],
    example_inputs: Any,
    importance: Importance = filter_norm,
    scope: str = "layer",
    layers: Iterable[str] | None = None,
) -> ChannelPlan:
    """Return which channels ``remove_channels`` would take out; the model is left as it is.

    The model runs once on ``example_inputs``, in evaluation mode, on a copy. Masks count as the
    zeros that they are.

    Args:
        model: any module. What cannot be cut is listed in the plan's ``refusals``.
        pruning_ratio: fraction in [0, 1) of the channels to remove. ``"layer"`` removes exactly
            ``round(ratio * channels)`` of each group, but one always stays; where a grouped
            convolution or ``chunk`` divides a group, this holds of each part. A dict gives a ratio
            by the name of a group or of a producer, and leaves the other groups as they are.
        example_inputs: a tensor ``(N, ...)``, a tuple of positional or a dict of named arguments.
            A small N is enough, and quicker.
        importance: what stays: a function of a weight ``(out, ...)`` with a score per output,
            ``RandomImportance(seed)``, or tensors ``(out,)`` by layer name, such as
            ``activation_entropy`` returns. How the scores of a group are put together stands in
            ``scoring``.
        scope: ``"layer"`` counts in each group, ``"global"`` ranks all groups together.
        layers: names of producers; only their groups are cut. None takes all.

    Raises:
        TypeError: ``model`` is no module, or an argument has the wrong type.
        ValueError: an argument is out of range; the model is lazy or not finite, does not run on
            ``example_inputs``, or nothing of it can be cut. See ``checking`` and ``scoring``.
    """
    check_choice("scope", scope, ("layer", "global"))
    if scope == "global" and isinstance(pruning_ratio, Mapping):
        raise ValueError("scope must be 'layer' with a dict as pruning_ratio, got 'global'.")
    flow = flow_through(trace(plain_copy(model), example_inputs, is_layer))
    couplings = couple(flow)
    refusals = _refusals(flow, couplings)
    ratios = ratios_of(pruning_ratio, couplings, layers)
    if not ratios:
        why = "; ".join(map(str, refusals)) or "no layer of torch.nn was called"
        raise ValueError(f"model must have channels that can be removed, got none: {why}.")
    chosen = [couplings[index] for index in ratios]
    scores = coupling_scores(flow, chosen, importance)
    removed = _choose(chosen, scores, list(ratios.values()), scope)
    return _assemble(flow, chosen, scores, removed, refusals)


def _choose(
    chosen: list[Coupling], scores: list[np.ndarray], ratios: list[float], scope: str
) -> list[np.ndarray]:
    if scope == "global":
        return choose_globally(scores, [c.cells for c in chosen], ratios[0])
    return [
        choose_in_group(mine, coupling.cells, ratio)
        for mine, coupling, ratio in zip(scores, chosen, ratios, strict=True)
    ]


def _assemble(
    flow: Flow,
    chosen: list[Coupling],
    scores: list[np.ndarray],
    removed: list[np.ndarray],
    refusals: tuple[Refusal, ...],
) -> ChannelPlan:
    roots = flow.positions.roots()
    groups = tuple(
        _group(flow, roots, coupling, mine, gone)
        for coupling, mine, gone in zip(chosen, scores, removed, strict=True)
    )
    gone = [c.roots[indices] for c, indices in zip(chosen, removed, strict=True)]
    cuts = _cuts(flow, ~np.isin(roots, np.concatenate(gone)))
    modules = _modules(flow)
    before = num_parameters(flow.model)
    after = before - sum(count_removed(modules[cut.layer], cut) for cut in cuts)
    owner = {layer: g.name for g in groups for layer in (*g.producers, *g.followers)}
    nodes = tuple(Node(name, type(modules[name]).__name__, owner.get(name)) for name in flow.ports)
    edges = tuple(Edge(*ends, kind) for ends, kind in flow.edges.items())
    return ChannelPlan(groups, refusals, cuts, before, after, nodes, edges)


def _group(
    flow: Flow, roots: np.ndarray, coupling: Coupling, scores: np.ndarray, removed: np.ndarray
) -> ChannelGroup:
    def touches(positions: np.ndarray | None) -> bool:
        return positions is not None and bool(np.isin(roots[positions], coupling.roots).any())

    ports = flow.ports
    return ChannelGroup(
        name=coupling.producers[0],
        channels=len(scores),
        kept=torch.from_numpy(np.delete(np.arange(len(scores)), removed)),
        importance=torch.from_numpy(scores),
        producers=coupling.producers,
        followers=tuple(n for n, p in ports.items() if p.follows and touches(p.outputs)),
        consumers=tuple(n for n, p in ports.items() if not p.follows and touches(p.inputs)),
    )


def _cuts(flow: Flow, stays: np.ndarray) -> tuple[LayerCut, ...]:
    """Return what stays of each layer, from what stays of all positions."""

    def kept(positions: np.ndarray | None) -> Tensor | None:
        if positions is None or stays[positions].all():
            return None
        return torch.from_numpy(stays[positions])

    cuts = (LayerCut(name, kept(p.outputs), kept(p.inputs)) for name, p in flow.ports.items())
    return tuple(cut for cut in cuts if cut.outputs is not None or cut.inputs is not None)


def _refusals(flow: Flow, couplings: list[Coupling]) -> tuple[Refusal, ...]:
    """Return the layers whose outputs cannot be cut, in the model's order."""
    reasons = {n: c.reason for c in couplings if c.reason is not None for n in c.producers}
    for name in layer_names(flow.model):
        ports = flow.ports.get(name)
        if ports is None and name in flow.used_by:
            reasons[name] = f"its weight is used by the function {flow.used_by[name]}"
        elif ports is None:
            reasons[name] = "it was not called on example_inputs"
        elif ports.outputs is None:
            reasons[name] = "it follows channels that cannot be cut"
    for name, module in _modules(flow).items():
        known = is_layer(module) or not type(module).__module__.startswith("torch.nn.")
        inner = "parametrizations" in name.split(".")
        if not known and not inner and any(True for _ in module.parameters(recurse=False)):
            reasons.setdefault(name, f"{type(module).__name__} is not known here")
    return tuple(Refusal(name, reasons[name]) for name in _modules(flow) if name in reasons)


def _modules(flow: Flow) -> dict[str, nn.Module]:
    return {name or "model": module for name, module in flow.model.named_modules()}

"""The second step: let positions flow through the calls of a trace, and collect what is coupled.

Each layer's outputs are new positions; each rule hands them on. At the end, layers whose outputs
share a channel are one group: they are cut together or not at all. This is the dependency graph of
Fang et al. 2023, "DepGraph: towards any structural pruning", arXiv:2301.12900, with one number per
channel instead of an index mapping per edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.prune.channels.flow import Flow
from lwlab.prune.channels.function_rules import apply_function_rule, kind_of
from lwlab.prune.channels.layer_rules import apply_layer_rule, is_layer
from lwlab.prune.channels.trace import Trace, tensors_in

__all__ = ["Coupling", "couple", "flow_through"]


@dataclass(frozen=True, eq=False)
class Coupling:
    """Channels that are cut together.

    Attributes:
        producers: layers that make these channels, in the order in which they run.
        roots: the smallest position of each channel, rising; ``(channels,)``.
        cells: for each channel the number of its cell; each cell loses equally many. All one
            cell, unless a grouped convolution or ``chunk`` is around.
        reason: why they cannot be cut; None if they can.
    """

    producers: tuple[str, ...]
    roots: np.ndarray
    cells: np.ndarray
    reason: str | None


def flow_through(trace: Trace) -> Flow:
    """Return what each layer and each tensor of a trace has for positions."""
    flow = Flow(trace.model)
    flow.titles = {id(tensor): repr(name) for name, tensor in _named_tensors(trace.model)}
    layers = {name or "model": m for name, m in trace.model.named_modules() if is_layer(m)}
    owners = {
        id(parameter): path or "model"
        for path, module in trace.model.named_modules()
        for parameter in module.parameters(recurse=False)
    }
    for call in trace.calls:
        if call.layer is None:
            used = [owners[id(tensor)] for tensor in call.inputs if id(tensor) in owners]
            flow.used_by = {**dict.fromkeys(used, call.operation.strip("_")), **flow.used_by}
        rule = apply_function_rule if call.layer is None else apply_layer_rule
        found, outputs = rule(flow, call), list(tensors_in(call.output))
        found = found if isinstance(found, list) else [found] * len(outputs)
        for tensor, channels in zip(outputs, found, strict=True):
            flow.put(tensor, channels)
        flow.connect(call, outputs, kind_of(call))
    for tensor in trace.outputs:
        channels = flow.channels(tensor)
        if channels is not None:
            flow.positions.fix(channels.positions, "its outputs are the model's outputs")
    _fix_strangers(flow, layers)
    return flow


def _named_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _fix_strangers(flow: Flow, layers: dict[str, nn.Module]) -> None:
    """Let the channels around a layer stay whose tensors are not its own to be changed."""
    twins = _tied(flow.model)
    for name, ports in flow.ports.items():
        reason = _strange(layers[name]) or twins.get(name)
        if name in flow.used_by:
            reason = f"its weight is used by the function {flow.used_by[name]} as well"
        for positions in (ports.inputs, ports.outputs):
            if reason and positions is not None:
                own = reason if positions is ports.outputs else f"{name!r} cannot be cut: {reason}"
                flow.positions.fix(positions, own)


def _strange(module: nn.Module) -> str | None:
    if parametrize.is_parametrized(module):
        [first, *_] = next(iter(module.parametrizations.values()))
        return f"its weight is computed, by {type(first).__name__}"
    computed = [name for name in ("weight", "bias") if name in vars(module)]
    return f"its {computed[0]} is computed from other tensors" if computed else None


def _tied(model: nn.Module) -> dict[str, str]:
    """Return the reason of each layer that holds a parameter of another one."""
    first: dict[int, tuple[str, str]] = {}
    reasons: dict[str, str] = {}
    for path, module in model.named_modules():
        name = path or "model"
        for tensor_name, parameter in module._parameters.items():
            if parameter is None:
                continue
            address = parameter.data_ptr() or id(parameter)
            other, other_tensor = first.setdefault(address, (name, tensor_name))
            if other != name:
                reasons[name] = f"it shares its {tensor_name} with {other!r}"
                reasons.setdefault(other, f"it shares its {other_tensor} with {name!r}")
    return reasons


def couple(flow: Flow) -> list[Coupling]:
    """Return the groups of channels that are cut together, in the order in which they run."""
    positions = flow.positions
    producers = {name: ports.outputs for name, ports in flow.ports.items() if not ports.follows}
    blocks = [block for balance in positions.balances for block in balance]
    balanced = [np.concatenate(balance) for balance in positions.balances if blocks]
    roots, families = positions.roots(), positions.together([*producers.values(), *balanced])
    names: dict[int, list[str]] = {}
    for name, outputs in producers.items():
        names.setdefault(int(families[outputs[0]]), []).append(name)
    reasons = _reasons(flow, families)
    couplings = []
    for family, members in names.items():
        channels = np.unique(roots[families == family])
        cells = _cells(flow, roots, channels)
        reason = reasons.get(family) or _too_few(cells)
        couplings.append(Coupling(tuple(members), channels, cells, reason))
    return couplings


def _reasons(flow: Flow, families: np.ndarray) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for position, reason in flow.positions.fixed.items():
        reasons.setdefault(int(families[position]), reason)
    return reasons


def _cells(flow: Flow, roots: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Return the cell of each channel: those that lie in the same blocks of all balances."""
    index = {int(root): number for number, root in enumerate(channels)}
    places: list[list[tuple[int, int]]] = [[] for _ in channels]
    for which, balance in enumerate(flow.positions.balances):
        for block, positions in enumerate(balance):
            for root in roots[positions]:
                if int(root) in index:
                    places[index[int(root)]].append((which, block))
    numbers: dict[tuple[tuple[int, int], ...], int] = {}
    return np.array([numbers.setdefault(tuple(place), len(numbers)) for place in places], int)


def _too_few(cells: np.ndarray) -> str | None:
    sizes = np.bincount(cells)
    if len(set(sizes.tolist())) > 1:
        return "grouped convolutions or chunks divide its channels in different ways"
    if sizes[0] > 1:
        return None
    return "it has one channel left" + (" in each of its groups" if len(sizes) > 1 else "")

"""What each kind of layer does to positions.

Three kinds are enough. A layer that *mixes* (linear, convolution) makes new positions for its
outputs. A layer that *follows* (BatchNorm, PReLU, a depthwise convolution) works on each channel
alone and hands the positions on. A layer that *normalizes over channels* (LayerNorm) ties them
together: without one of them the others would come out different, so all must stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from lwlab.prune.channels.flow import Channels, Flow, Ports
from lwlab.prune.channels.trace import Call

__all__ = ["apply_layer_rule", "is_depthwise", "is_layer"]

_TWICE = "it is used more than once, and one of the times its inputs cannot be cut"


def is_layer(module: nn.Module) -> bool:
    """Return whether a module has a rule here; a ``forward`` of its own makes it a stranger."""
    own_forward = not type(module).forward.__module__.startswith("torch.nn.modules.")
    return isinstance(module, tuple(kinds for kinds, _ in _RULES)) and not own_forward


def is_depthwise(module: nn.Module) -> bool:
    """Return whether each group of a convolution sees one input channel alone."""
    return isinstance(module, _ConvNd) and module.groups == module.in_channels > 1


def apply_layer_rule(flow: Flow, call: Call) -> Channels | None:
    """Return the channels of a layer's output."""
    rule = next(rule for kinds, rule in _RULES if isinstance(call.module, kinds))
    return rule(flow, call)


def _convolution(flow: Flow, call: Call) -> Channels | None:
    module = call.module
    axis = call.inputs[0].ndim - len(module.kernel_size) - 1  # 1, or 0 without a batch
    incoming = flow.incoming(call, axis)
    if is_depthwise(module):
        return _follow_depthwise(flow, call, axis, incoming)
    channels = _mix(flow, call, axis, incoming, module.out_channels)
    if module.groups > 1:  # every group keeps the same width
        for positions in (incoming, channels.positions):
            if positions is not None:
                flow.positions.balance(np.split(positions, module.groups))
    return channels


def _linear(flow: Flow, call: Call) -> Channels:
    axis = call.inputs[0].ndim - 1
    return _mix(flow, call, axis, flow.incoming(call, axis), call.module.out_features)


def _embedding(flow: Flow, call: Call) -> Channels:
    return _mix(flow, call, call.inputs[0].ndim, None, call.module.embedding_dim)


def _mix(flow: Flow, call: Call, axis: int, incoming: np.ndarray | None, outputs: int) -> Channels:
    """New positions come out; the same at each call of the same layer."""
    ports = flow.ports.get(call.layer)
    if ports is None:
        ports = flow.ports[call.layer] = Ports(incoming, flow.positions.new(outputs))
    else:
        flow.join(ports.inputs, incoming, _TWICE)
    return Channels(axis, ports.outputs)


def _follow_depthwise(
    flow: Flow, call: Call, axis: int, incoming: np.ndarray | None
) -> Channels | None:
    """Each input channel is alone in its group and makes ``out / in`` output channels."""
    outputs = None
    if incoming is not None:
        outputs = np.repeat(incoming, call.module.out_channels // call.module.in_channels)
    ports = flow.ports.setdefault(call.layer, Ports(incoming, outputs, follows=True))
    if ports.inputs is not incoming:
        flow.join(ports.inputs, incoming, _TWICE)
    return None if outputs is None else Channels(axis, outputs)


def _follow(flow: Flow, call: Call) -> Channels | None:
    incoming = flow.incoming(call, 1)
    ports = flow.ports.setdefault(call.layer, Ports(None, incoming, follows=True))
    if ports.outputs is not incoming:
        flow.join(ports.outputs, incoming, _TWICE)
    return None if incoming is None else Channels(1, incoming)


def _prelu(flow: Flow, call: Call) -> Channels | None:
    if call.module.num_parameters == 1:
        return flow.channels(call.inputs[0])
    return _follow(flow, call)


def _group_norm(flow: Flow, call: Call) -> Channels | None:
    if call.module.num_groups == call.module.num_channels:
        return _follow(flow, call)
    return _normalize_over(flow, call)


def _layer_norm(flow: Flow, call: Call) -> Channels | None:
    [tensor, *_] = call.inputs
    channels = flow.channels(tensor)
    untouched = tensor.ndim - len(call.module.normalized_shape)
    if channels is None or channels.axis < untouched:
        return channels
    return _normalize_over(flow, call)


def _normalize_over(flow: Flow, call: Call) -> Channels | None:
    flow.fix_inputs(
        call,
        f"{call.layer!r} ({call.operation}) normalizes over its channels, so that removing some "
        f"would change the rest",
    )
    return flow.channels(call.inputs[0])


_RULES: tuple[tuple[Any, Callable[[Flow, Call], Channels | None]], ...] = (
    (_ConvNd, _convolution),
    (nn.Linear, _linear),
    (nn.Embedding, _embedding),
    (_NormBase, _follow),
    (nn.PReLU, _prelu),
    (nn.GroupNorm, _group_norm),
    ((nn.LayerNorm, nn.RMSNorm), _layer_norm),
)

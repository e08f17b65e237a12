"""What each function of torch does to positions, in one table: name -> rule.

    at each value   relu, +, *, where       positions go on; of several tensors they are united
    within a map    max_pool2d, interpolate  positions go on
    over an axis    mean, softmax            go on, if the axis is another one
    moving          flatten, cat, permute    the position numbers themselves are sent through

A function that is not in the table is not known here: the channels that come in must stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lwlab.prune.channels.flow import Channels, Flow
from lwlab.prune.channels.moving import MOVING, move
from lwlab.prune.channels.trace import Call, tensors_in

__all__ = ["apply_function_rule", "kind_of"]

Outcome = Channels | None | list[Channels | None]

_AT_EACH_VALUE = frozenset(
    """
    relu relu6 leaky_relu elu celu selu gelu silu mish hardswish hardsigmoid hardtanh hardshrink
    softshrink tanhshrink softplus softsign logsigmoid threshold rrelu sigmoid tanh
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout
    exp expm1 log log1p log2 sqrt rsqrt square abs absolute neg negative sign floor ceil round trunc
    erf sin cos atan reciprocal clamp clip clamp_min clamp_max nan_to_num isnan isinf isfinite
    add radd iadd sub subtract rsub isub mul multiply rmul imul div divide rdiv idiv true_divide
    truediv rtruediv itruediv floordiv pow rpow ipow maximum minimum where lerp addcmul addcdiv fmod
    remainder eq ne lt le gt ge logical_and logical_or logical_not and or invert masked_fill
    clone contiguous detach to float double half bfloat16 type type_as cpu cuda data real
    requires_grad zeros_like ones_like full_like empty_like rand_like randn_like
    """.split()
)
_WITHIN_A_MAP = frozenset(
    f"{kind}{count}d"
    for kind in ("max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool")
    for count in (1, 2, 3)
) | {"interpolate", "upsample", "pad"}
# x.new_zeros(3) takes nothing of x but its dtype and device.
_MADE_NEW = frozenset("new_zeros new_ones new_full new_empty new_tensor".split())
# Where the argument "dim" stands, and what it is if it is left out.
_OVER_AN_AXIS: dict[str, tuple[int, Any]] = {
    **dict.fromkeys(
        """mean sum nansum amax amin max min prod std var logsumexp median argmax argmin all any
        softmax log_softmax softmin cumsum cumprod sort count_nonzero""".split(),
        (1, None),
    ),
    "normalize": (2, 1),
    "norm": (2, None),
}


def apply_function_rule(flow: Flow, call: Call) -> Outcome:
    """Return the channels of what a function returned, one for all outputs or a list."""
    name = _plain(call.operation)
    if name in _OVER_AN_AXIS:
        return _over_an_axis(flow, call)
    rules: tuple[tuple[frozenset[str], Callable[[Flow, Call], Outcome]], ...] = (
        (_AT_EACH_VALUE, _at_each_value),
        (_WITHIN_A_MAP, _within_a_map),
        (MOVING, move),
        (frozenset({"glu"}), _gated),
    )
    if name in _MADE_NEW or all(flow.channels(tensor) is None for tensor in call.inputs):
        return None
    rule = next((rule for names, rule in rules if name in names), _unknown)
    return rule(flow, call)


def kind_of(call: Call) -> str:
    """Return how a call connects the layers around it: follows, add, concat or flatten."""
    name = _plain(call.operation)
    if name in ("cat", "concat", "concatenate"):
        return "concat"
    if name in _AT_EACH_VALUE and len(call.inputs) > 1:
        return "add"
    if name in ("flatten", "view", "reshape"):
        before, after = call.inputs[0], next(tensors_in(call.output))
        return "flatten" if after.ndim < before.ndim else "follows"
    return "follows"


def _plain(name: str) -> str:
    """``relu_`` works in place and ``__rsub__`` is ``1 - x``: the same to positions."""
    return name.strip("_").removesuffix("_with_indices")


def _unknown(flow: Flow, call: Call) -> None:
    flow.fix_inputs(call, f"the function {_plain(call.operation)} is not known here")


def _at_each_value(flow: Flow, call: Call) -> Channels | None:
    """Broadcasting lines the last axes up; along the channels' axis all tensors are united."""
    output = next(tensors_in(call.output), None)
    if output is None:
        return _unknown(flow, call)
    axes = {  # counted from the end
        channels.axis - tensor.ndim
        for tensor in call.inputs
        if (channels := flow.channels(tensor)) is not None
        and _has_width(tensor.shape, channels.axis - tensor.ndim, output)
    }
    if len(axes) != 1:
        if axes:
            name = _plain(call.operation)
            flow.fix_inputs(call, f"the function {name} joins it with channels of another axis")
        return None
    [axis] = axes
    wide = [tensor for tensor in call.inputs if _has_width(tensor.shape, axis, output)]
    first = next(
        channels.positions
        for tensor in wide
        if (channels := flow.channels(tensor)) is not None and channels.axis - tensor.ndim == axis
    )
    for tensor in wide:
        channels = flow.channels(tensor)
        here = channels is not None and channels.axis - tensor.ndim == axis
        title = flow.titles.get(id(tensor), "a tensor")
        reason = f"it is joined with {title}, which cannot be cut"
        flow.join(first, channels.positions if here else None, reason)
    return Channels(output.ndim + axis, first)


def _has_width(shape: Sequence[int], axis: int, output: Any) -> bool:
    """Return whether a tensor reaches over the output's axis (counted from the end)."""
    return len(shape) >= -axis and shape[axis] == output.shape[axis]


def _within_a_map(flow: Flow, call: Call) -> Channels | None:
    [tensor, *_] = call.inputs
    channels = flow.channels(tensor)
    name = _plain(call.operation)
    if name == "pad":
        touched = len(call.argument(1, "pad")) // 2
    else:
        touched = int(name[-2]) if name[-2].isdigit() else tensor.ndim - 2
    if channels is not None and channels.axis >= tensor.ndim - touched:
        flow.fix_inputs(call, f"the function {name} works across its channels")
        return None
    return channels


def _over_an_axis(flow: Flow, call: Call) -> Channels | None:
    [tensor, *others] = call.inputs
    if others:  # torch.max(a, b)
        return _at_each_value(flow, call)
    channels, output = flow.channels(tensor), next(tensors_in(call.output))
    if channels is None:
        return None
    index, default = _OVER_AN_AXIS[_plain(call.operation)]
    given = call.argument(index, "dim", default)
    axes = _axes(given, tensor.ndim)
    if channels.axis in axes:
        reason = f"the function {_plain(call.operation)} works over its channels"
        flow.positions.fix(channels.positions, reason)
        return None
    gone = sum(axis < channels.axis for axis in axes) if output.ndim < tensor.ndim else 0
    return Channels(channels.axis - gone, channels.positions)


def _axes(given: Any, count: int) -> set[int]:
    """Return the axes of an argument ``dim``; all where none is named."""
    if given is None or isinstance(given, bool) or given == ():
        return set(range(count))
    return {axis % count for axis in (given if isinstance(given, (tuple, list)) else (given,))}


def _gated(flow: Flow, call: Call) -> Channels | None:
    """One half of the channels is multiplied by the other half."""
    [tensor, *_] = call.inputs
    channels = flow.channels(tensor)
    if channels is None or channels.axis != call.argument(1, "dim", -1) % tensor.ndim:
        return channels
    values, gates = np.split(channels.positions, 2)
    flow.positions.unite(values, gates)
    return Channels(channels.axis, values)

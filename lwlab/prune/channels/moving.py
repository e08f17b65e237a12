"""Functions that move values about: the position numbers themselves are sent through.

Take ``flatten`` on a tensor ``(2, 3, 2, 2)``. A tensor of the same shape is filled with positions,
7 wherever the channel is 7, and flattened. What comes out is read off: along one axis it says
``7 7 7 7 8 8 8 8 9 9 9 9``, everywhere else it repeats. So no rule has to know how ``permute``,
``cat`` or ``x[:, None]`` count their axes.

Two things are checked besides. A size that is typed in, as in ``x.view(-1, 2048)``, would be wrong
once channels are gone. And where channels are picked out (``chunk``, ``x[:, :8]``), the pieces must
be the same ones afterwards: for equal pieces each one loses equally many, others must stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lwlab.prune.channels.flow import Channels, Flow
from lwlab.prune.channels.trace import Call, ReadSize, tensors_in

__all__ = ["MOVING", "move"]

_SIZED = frozenset("view reshape expand broadcast_to".split())
_JOINING = frozenset("cat concat concatenate stack".split())
_PIECES = frozenset("chunk split tensor_split".split())
MOVING = (
    frozenset(
        """
        flatten permute transpose swapaxes swapdims movedim moveaxis t T mT squeeze unsqueeze flip
        repeat tile unbind getitem select narrow view_as reshape_as
        expand_as
        """.split()
    )
    | _SIZED
    | _JOINING
    | _PIECES
)
_NOTHING = -1  # stands where a tensor has no channels that may go


def move(flow: Flow, call: Call) -> Channels | list[Channels | None] | None:
    """Return the channels of each output of a moving function."""
    if all(c is None or len(c.positions) == 1 for c in map(flow.channels, call.inputs)):
        return None  # one channel alone leaves no pattern to read, and could not go anyway
    if call.operation in _JOINING and _is_side_by_side(flow, call):
        _unite_all(flow, call)
    outputs = list(tensors_in(_send(flow, call)))
    found = [_read(output) for output in outputs]
    name = call.operation.strip("_")
    if not all(_is_read(output, line) for output, line in zip(outputs, found, strict=True)):
        flow.fix_inputs(call, f"the function {name} takes its channels apart")
        return None
    if name in _SIZED:
        _check_sizes(flow, call, found[0])
    if name in _PIECES and len(outputs) > 1:
        _check_pieces(flow, call, found)
    elif name in ("getitem", "select", "narrow", "unbind"):
        _check_all_there(flow, call, found)
    return [None if line is None else _with_positions(flow, line) for line in found]


def _is_side_by_side(flow: Flow, call: Call) -> bool:
    """Return whether tensors are put together along another axis than that of their channels."""
    if call.operation == "stack":
        return True
    axis = call.argument(1, "dim", 0) % call.inputs[0].ndim
    return any(c is not None and c.axis != axis for c in map(flow.channels, call.inputs))


def _unite_all(flow: Flow, call: Call) -> None:
    """Unite the channels of all inputs, place by place."""
    found = [flow.channels(tensor) for tensor in call.inputs]
    first = next(channels for channels in found if channels is not None)
    for channels in found:
        same = channels is not None and channels.axis == first.axis
        reason = "it is joined with a tensor that cannot be cut"
        flow.join(first.positions, channels.positions if same else None, reason)


def _send(flow: Flow, call: Call) -> Any:
    """Call the function again, on positions in place of values."""
    first, *rest = call.args or (next(iter(call.kwargs.values())),)
    numbers = (
        tuple(_numbers(flow, tensor) for tensor in first)
        if isinstance(first, tuple)
        else _numbers(flow, first)
    )
    if call.args:
        return call.function(numbers, *rest, **call.kwargs)
    name, *_ = call.kwargs
    return call.function(**{**call.kwargs, name: numbers})


def _numbers(flow: Flow, tensor: Tensor) -> Tensor:
    channels = flow.channels(tensor)
    if channels is None:
        return torch.full(tensor.shape, _NOTHING)
    shape = [1] * tensor.ndim
    shape[channels.axis] = -1
    # The roots, so that united positions are one number also where they lie side by side.
    positions = torch.from_numpy(flow.positions.roots_of(channels.positions)).reshape(shape)
    return positions.expand(tensor.shape).contiguous()


def _read(numbers: Tensor) -> Channels | None:
    """Return the axis along which the numbers differ, if they repeat along all others."""
    for axis in range(numbers.ndim):
        lines = numbers.movedim(axis, 0).flatten(1) if numbers.ndim > 1 else numbers[:, None]
        if (lines != lines[:1]).any():
            repeats = bool((lines == lines[:, :1]).all())
            return Channels(axis, lines[:, 0].numpy()) if repeats else None
    return None


def _is_read(numbers: Tensor, line: Channels | None) -> bool:
    """Return whether the line tells all: without one there must be no channels."""
    return line is not None or bool((numbers == _NOTHING).all())


def _with_positions(flow: Flow, line: Channels) -> Channels:
    """Put new positions, which must stay, where a tensor without channels came in."""
    positions, nothing = line.positions.copy(), line.positions == _NOTHING
    if nothing.any():
        positions[nothing] = flow.positions.new(int(nothing.sum()))
        reason = "it is joined with a tensor that cannot be cut"
        flow.positions.fix(positions[nothing], reason)
    return Channels(line.axis, positions)


def _check_sizes(flow: Flow, call: Call, line: Channels | None) -> None:
    """Fix the channels where the size of their axis is typed in."""
    sizes = call.args[1:] or tuple(call.kwargs.values())[-1:]
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple) else sizes
    if line is None or not all(isinstance(size, int) for size in sizes):
        return
    size = sizes[line.axis]
    if not isinstance(size, ReadSize) and size != -1:
        flow.fix_inputs(
            call,
            f"the function {call.operation} gives it a size that is typed in, {size}. In forward, "
            f"try flatten(1), or sizes read from x.shape",
        )


def _check_pieces(flow: Flow, call: Call, pieces: list[Channels | None]) -> None:
    """Equal pieces stay equal; others are cut at a place that is typed in."""
    [tensor] = list(tensors_in(call.args[:1] or call.kwargs))
    channels = flow.channels(tensor)
    lines = [piece.positions for piece in pieces if piece is not None]
    if all(len(line) == len(channels.positions) for line in lines):
        return  # cut along another axis
    asked = call.argument(1, "chunks", call.kwargs.get("split_size_or_sections"))
    by_count = call.operation != "split" and asked == len(lines)
    equal = len({len(line) for line in lines}) == 1
    if equal and (by_count or isinstance(asked, ReadSize)):
        flow.positions.balance(lines)
        return
    flow.fix_inputs(call, f"the function {call.operation} cuts them at a place that is typed in")


def _check_all_there(flow: Flow, call: Call, found: list[Channels | None]) -> None:
    [tensor] = list(tensors_in(call.args[:1] or call.kwargs))
    channels = flow.channels(tensor)
    lines = [line.positions for line in found if line is not None]
    expected = flow.positions.roots_of(channels.positions)
    if not all(np.array_equal(line, expected) for line in lines):
        flow.fix_inputs(call, "some of them are picked by an index that is typed in")

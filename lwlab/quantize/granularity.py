"""Granularity: which values of a tensor share one scale.

    PerTensor()           all of them                              ("global" in the lessons)
    PerChannel(axis)      each slice along an axis has its own      ("local")
    PerGroup(size, axis)  each run of ``size`` values in a slice has its own

Fewer values behind one scale fit their scale better and need more scales: at 32 bits for a scale
and 4 bits for a code, groups of 32 cost 5 bits a weight.

Everything else in this package sees *rows*: a matrix of shape (groups, values), one row per scale.
``rows`` and ``from_rows`` go there and back for a tensor of any rank; ``spread`` puts one number
per group where it broadcasts against the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lwlab.checks import check_count

__all__ = ["Granularity", "PerChannel", "PerGroup", "PerTensor", "check_granularity"]


@runtime_checkable
class Granularity(Protocol):
    """What the three granularities have in common; write your own with these methods."""

    def rows(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as a matrix (groups, values)."""

    def from_rows(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor of ``shape`` that ``rows`` came from."""

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return one number per group so that it broadcasts against a tensor of ``shape``."""


@dataclass(frozen=True)
class PerTensor:
    """One scale for the whole tensor.

    >>> import torch
    >>> PerTensor().rows(torch.zeros(8, 3, 5, 5)).shape
    torch.Size([1, 600])
    """

    def rows(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as one row."""
        return tensor.reshape(1, tensor.numel())

    def from_rows(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor of ``shape`` that ``rows`` came from."""
        return rows.reshape(shape)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the one number, without a dimension: it broadcasts against anything."""
        return per_group.reshape(())


@dataclass(frozen=True)
class PerChannel:
    """One scale for each index of an axis.

    >>> import torch
    >>> PerChannel().rows(torch.zeros(8, 3, 5, 5)).shape
    torch.Size([8, 75])

    Attributes:
        axis: 0, the default, is the output channel of torch's convolutions and linear layers.
            Negative ones count from the end.
    """

    axis: int = 0

    def __post_init__(self) -> None:
        _check_axis_number(self.axis)

    def rows(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as one row per channel, the other axes flattened in their order.

        Raises:
            ValueError: the tensor has no such axis.
        """
        axis, shape = _axis_of(self.axis, tensor.shape), tuple(tensor.shape)
        rest = prod(shape[:axis] + shape[axis + 1 :])
        return tensor.movedim(axis, 0).reshape(shape[axis], rest)

    def from_rows(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor of ``shape`` that ``rows`` came from."""
        axis, shape = _axis_of(self.axis, shape), tuple(shape)
        channels_first = (shape[axis], *shape[:axis], *shape[axis + 1 :])
        tensor = rows.reshape(channels_first).movedim(0, axis)
        # With the strides of a fresh tensor: over others a layer may sum in another order, and give
        # other last digits. contiguous() does not look at the stride of a dimension of size 1.
        return tensor if axis == 0 else tensor.clone(memory_format=torch.contiguous_format)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return one number per channel with the shape (1, ..., channels, ..., 1)."""
        axis = _axis_of(self.axis, shape)
        return per_group.reshape([-1 if i == axis else 1 for i in range(len(shape))])


@dataclass(frozen=True)
class PerGroup:
    """One scale for each run of ``size`` neighbours within a channel.

    A channel's values are taken in their order, the other axes flattened, and cut into runs. So a
    group never reaches over two channels, ``PerGroup(all of a channel)`` is ``PerChannel``, and the
    groups of a linear layer are runs along its inputs, as in GPTQ and llama.cpp.

    >>> import torch
    >>> PerGroup(25).rows(torch.zeros(8, 3, 5, 5)).shape
    torch.Size([24, 25])

    A size that does not divide a channel is refused, not padded: padding would give the last
    group fewer values than it pays for, and a file that holds numbers that are not the model's.

    Attributes:
        size: values per group, at least 1.
        axis: the channel that a group stays in; see ``PerChannel``.
    """

    size: int
    axis: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_count("size", self.size))
        _check_axis_number(self.axis)

    def rows(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as one row per group.

        Raises:
            ValueError: the tensor has no such axis, or ``size`` does not divide its channels.
        """
        channels = PerChannel(self.axis).rows(tensor)
        values = channels.shape[1]
        if values % self.size:
            divisors = [d for d in range(1, values + 1) if values % d == 0]
            near = min(divisors, key=lambda divisor: (abs(divisor - self.size), divisor))
            raise ValueError(
                f"size must divide the {values} values of a channel of shape "
                f"{tuple(tensor.shape)}, got {self.size}. Try {near}."
            )
        return channels.reshape(channels.numel() // self.size, self.size)

    def from_rows(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor of ``shape`` that ``rows`` came from."""
        return PerChannel(self.axis).from_rows(rows, shape)

    def spread(self, per_group: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the number of its group for each value: a tensor of ``shape``."""
        return self.from_rows(per_group.reshape(-1, 1).expand(-1, self.size), shape)


def check_granularity(value: Any) -> Granularity:
    """Return ``value`` if it is a granularity; a class passed for an instance is named.

    Raises:
        TypeError: it is something else.
    """
    allowed = "PerTensor(), PerChannel(axis) or PerGroup(size)"
    if isinstance(value, type):
        raise TypeError(f"granularity must be {allowed}, got the class {value.__name__}.")
    if not isinstance(value, Granularity):
        raise TypeError(f"granularity must be {allowed}, got {value!r}.")
    return value


def _check_axis_number(axis: Any) -> None:
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise TypeError(f"axis must be a whole number, got {axis!r}.")


def _axis_of(axis: int, shape: tuple[int, ...]) -> int:
    """Return ``axis`` counted from the front."""
    rank = len(shape)
    if not -rank <= axis < rank:
        raise ValueError(
            f"axis must be one of a tensor's {rank} axes, got {axis} for shape {tuple(shape)}."
        )
    return axis % rank

"""The first step: run the model once on example inputs and write down every call.

A call is one layer (``conv1`` with its input and output) or one function of torch between layers
(``relu``, ``cat``, ``x.flatten(1)``). The model runs for real, on a copy, so that whatever Python
does in ``forward`` is fine: branches, loops, lists of tensors. The price is that the path taken by
the example inputs is the only one that is seen.

What tells a size that follows the tensor from one that is typed in? ``x.view(x.size(0), -1)``
still works once channels are gone, ``x.view(-1, 2048)`` does not. While the model runs, the sizes
that it reads from a tensor are ``ReadSize``, an int that remembers where it came from.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lwlab.checks import one_line
from lwlab.models.layers import seeded

__all__ = ["Call", "ReadSize", "Trace", "run", "tensors_in", "trace"]

# Written down although they return no tensor: values leave torch out of sight, or are overwritten.
_NO_TENSOR = ("numpy", "tolist", "item", "__array__", "__float__", "__int__", "__setitem__")


class ReadSize(int):
    """A size that was read from a tensor, or computed from such a size by whole numbers."""


def _keeping(name: str) -> Callable[[ReadSize, Any], Any]:
    plain = getattr(int, name)

    def operator(self: ReadSize, other: Any) -> Any:
        result = plain(self, other)
        return ReadSize(result) if type(result) is int else result

    return operator


for _name in ("add", "sub", "mul", "floordiv", "mod"):
    setattr(ReadSize, f"__{_name}__", _keeping(f"__{_name}__"))
    setattr(ReadSize, f"__r{_name}__", _keeping(f"__r{_name}__"))


@dataclass(frozen=True, eq=False)
class Call:
    """One thing that was done to tensors.

    Attributes:
        operation: name of the function (``"relu"``), or kind of the layer (``"Conv2d"``).
        args: positional arguments; lists are copied, since a model may append to its own later.
        kwargs: named arguments.
        output: what came out.
        layer: path of the layer in the model; None for a function.
        module: the layer; None for a function.
        function: the function itself; None for a layer.
    """

    operation: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    layer: str | None = None
    module: nn.Module | None = None
    function: Callable[..., Any] | None = None

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """Return an argument that may have been given by position or by name."""
        if index < len(self.args):
            return self.args[index]
        return self.kwargs.get(name, self.kwargs.get("axis", default) if name == "dim" else default)

    @property
    def inputs(self) -> list[Tensor]:
        """All tensors among the arguments, in order."""
        return list(tensors_in((self.args, self.kwargs)))


@dataclass(frozen=True, eq=False)
class Trace:
    """A model's run on its example inputs.

    Attributes:
        model: the copy that ran.
        calls: in the order in which they happened.
        outputs: the tensors that the model returned.
    """

    model: nn.Module
    calls: tuple[Call, ...]
    outputs: tuple[Tensor, ...]


def trace(model: nn.Module, example_inputs: Any, is_layer: Callable[[nn.Module], bool]) -> Trace:
    """Run ``model`` in evaluation mode, without gradients, and return its calls.

    Args:
        model: a copy that may be changed: hooks stay on it.
        example_inputs: a tensor, a tuple of positional or a dict of named arguments.
        is_layer: whether a module counts as one call; all others are looked into.

    Raises:
        TypeError, ValueError: as for ``run``.
    """
    recorder = _Recorder()
    for path, module in model.named_modules():
        if is_layer(module):
            recorder.watch(path or "model", module)
    outputs = run(model, example_inputs, watching=recorder)
    return Trace(model, tuple(recorder.calls), tuple(tensors_in(outputs)))


def run(
    model: nn.Module,
    example_inputs: Any,
    seed: int = 0,
    watching: AbstractContextManager[Any] | None = None,
) -> Any:
    """Return the outputs of ``model`` in evaluation mode; a failure becomes one sentence.

    Args:
        model: a copy: its training flags change.
        example_inputs: as for ``trace``.
        seed: of random numbers that the model draws.
        watching: a context to run the model in.

    Raises:
        TypeError: there is no tensor in ``example_inputs``.
        ValueError: the model fails on them.
    """
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(example_inputs))
    if not shapes:
        raise TypeError(
            f"example_inputs must be a tensor, or a tuple or dict of inputs with one, got "
            f"{type(example_inputs).__name__}."
        )
    for module in model.modules():
        module.training = False
    try:
        args, kwargs = _arguments(example_inputs)
        with torch.no_grad(), seeded(seed), watching or nullcontext():
            return model(*args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"example_inputs must be inputs that the model accepts, got shape {shapes}: "
            f"{one_line(error)}"
        ) from error


def _arguments(example_inputs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    # Copies, for a model that works on its inputs in place.
    copied = copy.deepcopy(example_inputs)
    if isinstance(copied, Mapping):
        return (), copied
    return (copied if isinstance(copied, (tuple, list)) else (copied,)), {}


class _Recorder(TorchFunctionMode):
    """Sees each function of torch before it runs; hooks tell it which layer it is inside of."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._inside = 0  # a layer is one call, whatever functions it uses

    def watch(self, path: str, module: nn.Module) -> None:
        module.register_forward_pre_hook(self._enter)
        module.register_forward_hook(partial(self._leave, path), with_kwargs=True)

    def _enter(self, module: nn.Module, args: tuple) -> None:
        self._inside += 1

    def _leave(self, path: str, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        self._inside -= 1
        if not self._inside:
            kind = type(module).__name__
            self.calls.append(Call(kind, _frozen(args), _frozen(kwargs), output, path, module))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self._inside:
            return output
        name = getattr(func, "__name__", str(func))
        if name == "__get__":  # a property, such as x.shape or x.T
            name = func.__self__.__name__
        if name in _NO_TENSOR or any(True for _ in tensors_in(output)):
            self.calls.append(Call(name, _frozen(args), _frozen(kwargs), output, function=func))
        return _with_read_sizes(output)


def _with_read_sizes(output: Any) -> Any:
    if isinstance(output, torch.Size):
        return torch.Size([ReadSize(size) for size in output])
    return ReadSize(output) if type(output) is int else output


def _frozen(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples, dicts and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from tensors_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from tensors_in(vars(value))

"""How much a model computes: multiply-accumulates of its convolutions and linear layers.

Counted while one example runs through the model, so that each call counts: a layer that is used
twice counts twice, one that is never called counts zero. Zeros count like any other weight: a dense
kernel multiplies by them too. Not counted: additions of biases, normalization, activations, and
products that a model writes out without a layer (``F.linear``, the scores of attention).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial, singledispatch

import torch
from torch import Tensor, nn

from lwlab.checks import check_count
from lwlab.measure.evaluating import evaluating, forward

__all__ = ["call_macs", "layer_macs", "macs"]


def macs(model: nn.Module, input_shape: Sequence[int] | Tensor) -> int:
    """Return the multiply-accumulates of ``model`` for one example (FLOPs are about twice that).

    Args:
        model: takes inputs ``(1, *input_shape)``.
        input_shape: of one example, such as ``dataset.input_shape``; or example inputs ``(N, ...)``
            of which the first is run, for a model that takes no float32 numbers.

    Raises:
        TypeError, ValueError: as for ``layer_macs``.
    """
    return sum(layer_macs(model, input_shape).values())


def layer_macs(model: nn.Module, input_shape: Sequence[int] | Tensor) -> dict[str, int]:
    """Return the multiply-accumulates of each convolution and linear layer, by its name.

    Args:
        model: as for ``macs``.
        input_shape: as for ``macs``.

    Returns:
        Layer name -> count, in the order of ``named_modules``; ``"model"`` names the model itself.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``, or a size not a number.
        ValueError: a size below 1, no example, or a model that fails on the example.
    """
    with evaluating(model), _counting(model) as counts:
        forward(model, _example(input_shape))
    return counts


@singledispatch
def call_macs(module: nn.Module, example: Tensor, output: Tensor) -> int:
    """Return the multiply-accumulates of one call of ``module``.

    A layer of another kind is counted once its own rule is registered:
    ``@call_macs.register(MyLayer)``, a function of the layer, its first input and its output.
    """
    kind = type(module).__name__
    raise TypeError(f"module must be a layer with a rule in call_macs, got {kind}.")


@call_macs.register(nn.Linear)
def _linear(module: nn.Linear, example: Tensor, output: Tensor) -> int:
    return output.numel() * module.in_features


@call_macs.register(nn.Conv1d)
@call_macs.register(nn.Conv2d)
@call_macs.register(nn.Conv3d)
def _convolution(module: nn.Conv2d, example: Tensor, output: Tensor) -> int:
    """Each output value is a sum over the kernel and the input channels of its group."""
    kernel = torch.Size(module.kernel_size).numel()
    return output.numel() * kernel * (module.in_channels // module.groups)


@call_macs.register(nn.ConvTranspose1d)
@call_macs.register(nn.ConvTranspose2d)
@call_macs.register(nn.ConvTranspose3d)
def _transposed(module: nn.ConvTranspose2d, example: Tensor, output: Tensor) -> int:
    """Each input value is spread over the kernel and the output channels of its group."""
    kernel = torch.Size(module.kernel_size).numel()
    return example.numel() * kernel * (module.out_channels // module.groups)


@contextmanager
def _counting(model: nn.Module) -> Iterator[dict[str, int]]:
    """Yield a dict that fills while the model runs; all hooks are gone afterwards."""
    no_rule = call_macs.dispatch(nn.Module)
    layers = {
        name or "model": module
        for name, module in model.named_modules()
        if call_macs.dispatch(type(module)) is not no_rule
    }
    counts = dict.fromkeys(layers, 0)
    handles = []

    def count(name: str, module: nn.Module, inputs: tuple, named: dict, output: Tensor) -> None:
        example = inputs[0] if inputs else next(iter(named.values()))
        counts[name] += call_macs(module, example, output)

    try:
        for name, module in layers.items():
            handles.append(module.register_forward_hook(partial(count, name), with_kwargs=True))
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _example(input_shape: Sequence[int] | Tensor) -> Tensor:
    if isinstance(input_shape, Sequence) and not isinstance(input_shape, str):
        return torch.zeros(1, *(check_count("input_shape", size) for size in input_shape))
    if not isinstance(input_shape, Tensor):
        raise TypeError(
            f"input_shape must be the shape of one example, or a tensor, got {input_shape!r}."
        )
    if input_shape.ndim < 1 or not len(input_shape):
        raise ValueError(
            f"input_shape must be a shape or at least one example input, got a tensor of shape "
            f"{tuple(input_shape.shape)}."
        )
    return input_shape[:1].clone()

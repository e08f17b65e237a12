"""What each channel answers to each example: one number, pooled over all positions.

The layers are watched through hooks while the examples run; all hooks are gone afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lwlab.checks import check_finite
from lwlab.measure.evaluating import evaluating, forward

__all__ = ["pooled_responses"]


def pooled_responses(
    model: nn.Module,
    inputs: Tensor,
    layers: Mapping[str, nn.Module],
    activation: Callable[[Tensor], Tensor],
    batch_size: int,
) -> dict[str, Tensor]:
    """Return the mean of ``activation(output)`` over positions, for each example and channel.

    The output is the layer's, or that of the BatchNorm that directly takes it.

    Args:
        model: runs in evaluation mode, and is left as it is.
        inputs: ``(N, *shape)``.
        layers: convolutions and linear layers of ``model`` by name.
        activation: elementwise function.
        batch_size: inputs in one pass, at the most.

    Returns:
        float64 tensors ``(N, channels)`` by name; a layer that is called twice gives ``2 N`` rows.

    Raises:
        ValueError: the model fails on the inputs, a layer is never called, a response is NaN or
            infinite.
    """
    watch = _Watch(activation, {id(module): name for name, module in layers.items()})
    with evaluating(model):
        handles = [module.register_forward_hook(watch) for module in _watched(model, layers)]
        try:
            for batch in inputs.tensor_split(math.ceil(len(inputs) / batch_size)):
                forward(model, batch.clone())
                watch.forget()
        finally:
            for handle in handles:
                handle.remove()
    return {name: _joined(name, watch.pooled[name]) for name in layers}


def _watched(model: nn.Module, layers: Mapping[str, nn.Module]) -> list[nn.Module]:
    return [*layers.values(), *(m for m in model.modules() if _is_batch_norm(m))]


def _is_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def _joined(name: str, pooled: list[Tensor]) -> Tensor:
    if not pooled:
        raise ValueError(
            f"layer {name!r} must be called when the model runs, got no call of it. Leave it out: "
            f"name the others in layers=[...]."
        )
    return check_finite(f"response of layer {name!r}", torch.cat(pooled))


class _Watch:
    """A forward hook that keeps the pooled responses of the layers it knows by name."""

    def __init__(self, activation: Callable[[Tensor], Tensor], names: dict[int, str]) -> None:
        self._activation = activation
        self._names = names
        self._outputs: dict[str, Tensor] = {}  # of the batch that is under way
        self.pooled: dict[str, list[Tensor]] = {name: [] for name in names.values()}

    def forget(self) -> None:
        """Let go of the outputs of a batch."""
        self._outputs.clear()

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        name = self._names.get(id(module))
        if name is not None:
            self._outputs[name] = output
            self.pooled[name].append(self._pool(output, module))
            return
        for name, taken in self._outputs.items():
            if inputs and inputs[0] is taken:
                self.pooled[name][-1] = self._pool(output, module)

    def _pool(self, output: Tensor, module: nn.Module) -> Tensor:
        # A linear layer has its features last, (N, ..., C); the others their channels second.
        values = self._activation(output.clone())  # an activation may work in place
        values = values if isinstance(module, nn.Linear) else values.movedim(1, -1)
        return values.reshape(len(values), -1, values.shape[-1]).double().mean(dim=1)

"""Features: what a layer says about a batch, recorded by the name of the layer on any model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_module
from lwlab.measure.evaluating import evaluating, forward

__all__ = ["check_layer", "features_of", "recorded"]


def check_layer(name: str, layer: str, model: nn.Module) -> nn.Module:
    """Return the submodule of ``model`` with this dotted name.

    Args:
        name: of the argument, for the message.
        layer: such as ``"conv2"`` or ``"stack1.bn2"``.
        model: where to look.

    Raises:
        ValueError: there is no such submodule.
    """
    modules = {found: module for found, module in model.named_modules() if found}
    return modules[check_choice(name, layer, modules)]


@contextmanager
def recorded(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of layers while the block runs ``model``; no hook stays behind.

    Only calls with gradients are recorded, so that scoring the model in between leaves nothing. A
    layer that is called several times in a pass gives its last output. A deep copy of the model,
    made in the block, writes into the same dictionary.

    Args:
        model: is not changed but for the hooks.
        layers: names of submodules.

    Yields:
        Output by name, a part of the graph; filled anew by each pass.

    Raises:
        TypeError, ValueError: ``model`` is no module, or has no such layer. In the pass: the output
            of a layer is no tensor.
    """
    check_module("model", model)
    modules = {layer: check_layer("layers", layer, model) for layer in layers}
    found: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(_recorder(layer, found)) for layer, module in modules.items()
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        found.clear()


def _recorder(layer: str, found: dict[str, Tensor]) -> Callable[..., None]:
    # A function, no method: a deep copy of the model shares it, and with it the dictionary.
    def record(module: nn.Module, inputs: object, output: object) -> None:
        del module, inputs
        if not torch.is_grad_enabled():
            return
        if not isinstance(output, Tensor):
            raise TypeError(
                f"layer {layer!r} must return a tensor to be learned from, got "
                f"{type(output).__name__}. Name a layer inside it."
            )
        # A copy: what follows may work in place, as nn.ReLU(inplace=True) does.
        found[layer] = output.clone()

    return record


def features_of(model: nn.Module, inputs: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Return the outputs of layers for ``inputs``, in evaluation mode and without a graph.

    Args:
        model: is left as it is.
        inputs: ``(N, *shape)``.
        layers: names of submodules.

    Raises:
        TypeError, ValueError: as from ``recorded``; the model fails on the inputs, or a layer is
            never called.
    """
    names = list(layers)
    with recorded(model, names) as found, evaluating(model):
        # Recording needs gradients switched on, and nothing here may become an inference tensor.
        with torch.inference_mode(False), torch.enable_grad():
            forward(model, inputs.clone())
        for name in names:
            if name not in found:
                raise ValueError(
                    f"layer {name!r} must be called when the model runs, got no call of it. "
                    f"Name another one."
                )
        return {name: found[name].detach() for name in names}

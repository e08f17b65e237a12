"""Run a model on calibration data and look at single layers on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from lwlab.measure.evaluating import evaluating, forward
from lwlab.models.layers import compressible_layers
from lwlab.quantize.preparing import current_bits

__all__ = ["quantized_layers", "run_watched"]

Look = Callable[[str, nn.Module, Tensor, Tensor], None]  # (name, layer, its input, its output)


def run_watched(
    model: nn.Module, layers: Mapping[str, nn.Module], look: Look, batches: Iterable[Tensor]
) -> None:
    """Run ``model`` on all batches and call ``look`` for each call of one of the layers.

    The model runs in evaluation mode and is left as it is.

    Raises:
        ValueError: it fails on the batches, or a layer is never called.
    """
    called: set[str] = set()

    def hook(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        called.add(name)
        look(name, layer, inputs[0], output)

    handles = [layer.register_forward_hook(partial(hook, name)) for name, layer in layers.items()]
    try:
        with evaluating(model):
            for batch in batches:
                forward(model, batch.clone())
    finally:
        for handle in handles:
            handle.remove()
    unused = [name for name in layers if name not in called]
    if unused:
        raise ValueError(
            f"layer {unused[0]!r} must be called when the model runs, got no call of it. Leave it "
            f"in float: prepare_(model, num_bits={{{unused[0]!r}: None}})."
        )


def quantized_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of ``model`` with quantized weights by name.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: there is none.
    """
    names = current_bits(model)
    if not names:
        raise ValueError(
            "model must have layers with quantized weights, got none. Try "
            "prepare_(model, num_bits=8) first."
        )
    layers = {layer.name: layer.module for layer in compressible_layers(model)}
    return {name: layers[name] for name in names}

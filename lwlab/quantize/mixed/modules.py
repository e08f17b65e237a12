"""From a layer's name to its module, also where the model is the layer."""

from __future__ import annotations

from torch import nn

from lwlab.models.layers import compressible_layers

__all__ = ["layer_module"]


def layer_module(model: nn.Module, name: str) -> nn.Module:
    """Return the convolution or linear layer that ``layer_names`` calls ``name``.

    Raises:
        KeyError: there is none.
    """
    return {layer.name: layer.module for layer in compressible_layers(model)}[name]

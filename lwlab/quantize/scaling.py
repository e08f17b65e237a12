"""Multiply the weight of a layer by factors: what folding and equalizing have in common.

Both move a factor from one place of a network to another. A layer can take one if its weight is a
parameter of its own, or is seen through parametrizations that commute with factors, as a pruning
mask does. A quantizer does not: it comes afterwards.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from lwlab.quantize.activations.operations import kind_of, module_of
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.preparing import current_bits

__all__ = ["check_in_float", "check_scalable", "own_layers", "scale_weight_"]


def check_in_float(model: nn.Module, action: str) -> None:
    """Check that no weight or activation of ``model`` is quantized yet.

    Args:
        model: any module.
        action: what is about to be done, such as ``"folded"``.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: naming the first layer that is quantized.
    """
    quantized = [
        *current_bits(model),
        *(name for name, part in model.named_modules() if name.startswith("activations.")),
    ]
    if quantized:
        raise ValueError(
            f"model must be in float to be {action}, got {quantized[0]!r} quantized. Do this "
            f"first, then quantize."
        )


def own_layers(model: fx.GraphModule) -> dict[fx.Node, nn.Module]:
    """Return the convolutions and linear layers that can take a factor, by their node.

    Each is called once, and its parameters are no one else's.
    """
    calls = Counter(id(module_of(model, node)) for node in model.graph.nodes)
    owners = Counter(
        id(parameter)
        for module in model.modules()
        for parameter in module._parameters.values()
        if parameter is not None
    )
    return {
        node: module
        for node in model.graph.nodes
        if kind_of(model, node) == "layer"
        and calls[id(module := module_of(model, node))] == 1
        and not any(is_lazy(p) or owners[id(p)] > 1 for p in module.parameters())
        and not parametrize.is_parametrized(module, "bias")
    }


@torch.no_grad()
def check_scalable(module: nn.Module, factor: Tensor) -> bool:
    """Return whether the weight, seen through its parametrizations, takes on ``factor``."""
    if not parametrize.is_parametrized(module, "weight"):
        return True
    parts = module.parametrizations["weight"]
    original = parts._parameters.get("original")
    if original is None or any(isinstance(part, FakeQuantize) for part in parts):
        return False
    weight = original * factor
    for part in parts:
        weight = part(weight)
    return torch.allclose(weight, module.weight * factor, rtol=1e-5, atol=0)


@torch.no_grad()
def scale_weight_(module: nn.Module, factor: Tensor) -> None:
    """Multiply the weight, or what lies behind it, by a factor that broadcasts against it."""
    masked = parametrize.is_parametrized(module, "weight")
    original = module.parametrizations["weight"].original if masked else module.weight
    original.copy_((original.double() * factor).to(original.dtype))

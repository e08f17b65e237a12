"""Fold BatchNorm into the layer before it: one operation less, and one rounding less.

In evaluation mode BatchNorm is a factor and a shift per channel, and so it can be part of the
convolution that it follows:

    factor = gamma / sqrt(running_var + eps)
    weight <- weight * factor          bias <- (bias - running_mean) * factor + beta

The factors differ by channel, often by a lot: a network that quantizes well with one scale for a
whole layer may not do so any more once it is folded. One scale per channel takes the factors in,
and equalizing evens them out.

Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2 and figure C.5.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from lwlab.checks import check_module
from lwlab.quantize.activations.operations import kind_of, module_of
from lwlab.quantize.activations.tracing import trace
from lwlab.quantize.scaling import check_in_float, check_scalable, own_layers, scale_weight_

__all__ = ["fold_batchnorm"]


def fold_batchnorm(model: nn.Module) -> fx.GraphModule:
    """Return a traced copy of ``model`` without the BatchNorms that can be folded.

    In evaluation mode the copy gives what ``model`` gives, up to the rounding of floats. In
    training it has no batch statistics any more. Left as they are: a BatchNorm that does not
    directly follow a convolution or linear layer, one whose layer has other users or is used
    twice, and one without running statistics. In the place of a folded one stands an Identity, so
    that the names of all others stay.

    A BatchNorm behind a linear layer is taken to see ``(N, features)``.

    Args:
        model: any module that can be traced, in either mode. Masks on its weights stay on.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: it cannot be traced, or is quantized already.
    """
    check_in_float(check_module("model", model), "folded")
    folded = trace(model)
    layers = own_layers(folded)
    for node in list(folded.graph.nodes):
        if kind_of(folded, node) == "norm" and _folds(folded, node, layers):
            _fold_(folded, node, layers[node.args[0]])
    folded.graph.lint()
    folded.recompile()
    return folded


def _folds(model: fx.GraphModule, node: fx.Node, layers: dict[fx.Node, nn.Module]) -> bool:
    """Return whether the BatchNorm of ``node`` can become part of the layer before it."""
    norm, before = module_of(model, node), node.args[0]
    if before not in layers or len(before.users) > 1 or norm.running_mean is None:
        return False
    layer = layers[before]
    calls = sum(other.target == node.target for other in model.graph.nodes)
    if calls > 1 or len(layer.weight) != norm.num_features:
        return False
    factor, _ = _factor_and_shift(norm)
    return check_scalable(layer, _by_channel(factor, layer))


@torch.no_grad()
def _factor_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what BatchNorm multiplies by and then adds, per channel, float64."""
    factor = 1 / torch.sqrt(norm.running_var.double() + norm.eps)
    factor = factor if norm.weight is None else factor * norm.weight.double()
    shift = -norm.running_mean.double() * factor
    return factor, shift if norm.bias is None else shift + norm.bias.double()


def _by_channel(factor: Tensor, layer: nn.Module) -> Tensor:
    return factor.reshape(-1, *[1] * (layer.weight.dim() - 1))


@torch.no_grad()
def _fold_(model: fx.GraphModule, node: fx.Node, layer: nn.Module) -> None:
    factor, shift = _factor_and_shift(module_of(model, node))
    dtype, wants = layer.weight.dtype, next(layer.parameters()).requires_grad
    scale_weight_(layer, _by_channel(factor, layer))
    if layer.bias is None:
        layer.bias = nn.Parameter(shift.to(dtype), requires_grad=wants)
    else:
        layer.bias.copy_((layer.bias.double() * factor + shift).to(dtype))
    parent, _, name = node.target.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Identity())
    node.replace_all_uses_with(node.args[0])
    model.graph.erase_node(node)

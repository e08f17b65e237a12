"""Cross-layer equalization: give every channel of a layer the same range, at no cost.

Between two layers with a ReLU each channel may be scaled at will, if the next layer undoes it:
``relu(s x) = s relu(x)`` for s > 0. So for channel i between the weights W1 and W2:

    W1[i, :] <- W1[i, :] / s_i      b1[i] <- b1[i] / s_i      W2[:, i] <- W2[:, i] * s_i

    s_i = sqrt(r1_i / r2_i)         r1_i = max |W1[i, :]|,  r2_i = max |W2[:, i]|

makes both ranges ``sqrt(r1_i r2_i)``. A layer with one scale for all its channels then wastes
fewer codes on its small ones. Layers in a row pull at each other, so one goes round until nothing
moves. With one scale per channel most of this gain is there already.

Source: Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction",
arXiv:1906.04721, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lwlab.checks import check_count, check_module
from lwlab.quantize.activations.operations import kind_of, module_of, tensor_users
from lwlab.quantize.activations.tracing import trace
from lwlab.quantize.scaling import check_in_float, check_scalable, own_layers, scale_weight_

__all__ = ["equalize"]

_STILL = 1e-4  # relative change of the scales below which nothing moves any more
_MOVING_AXES = ("Unflatten", "permute", "transpose", "squeeze", "unsqueeze")


@dataclass(frozen=True)
class _Pair:
    """Two layers in a row, and how often each channel of the first appears in the second."""

    first: nn.Module
    second: nn.Module
    repeats: int  # pixels of a channel that was flattened

    def incoming(self) -> Tensor:
        """Return the weight of the second as (groups, outputs, inputs of a group, values)."""
        weight = self.second.weight.detach().double()
        groups = getattr(self.second, "groups", 1)
        inputs = weight.shape[1] // self.repeats
        return weight.reshape(groups, len(weight) // groups, inputs, -1)

    def scales(self) -> Tensor:
        """Return s for each channel between the two, float64; 1 where a channel is all zero."""
        r1 = self.first.weight.detach().double().flatten(1).abs().amax(dim=1)
        r2 = self.incoming().abs().amax(dim=(1, 3)).flatten()
        scales = torch.sqrt(r1 / r2)
        return torch.where((r1 > 0) & (r2 > 0), scales, 1.0)

    def factors(self, scales: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the weights of the two are multiplied by."""
        first, second = self.first.weight, self.second.weight
        incoming = self.incoming()
        wide = scales.reshape(len(incoming), 1, -1, 1).expand_as(incoming)
        return 1 / scales.reshape(-1, *[1] * (first.dim() - 1)), wide.reshape(second.shape)


def equalize(model: nn.Module, *, sweeps: int = 40) -> fx.GraphModule:
    """Return a traced copy of ``model`` with the ranges of its channels evened out.

    The copy gives what ``model`` gives, up to the rounding of floats. Equalized are two layers in
    a row with nothing between them but ReLU, pooling, Dropout and flattening, and no one else who
    takes the tensor in between. A BatchNorm in between must be folded first.

    Args:
        model: any module that can be traced. Masks on its weights stay on.
        sweeps: passes over all pairs, at the most; it ends when nothing moves.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: it cannot be traced, or is quantized already.
    """
    check_in_float(check_module("model", model), "equalized")
    sweeps = check_count("sweeps", sweeps)
    equalized = trace(model)
    pairs = _pairs(equalized)
    for _ in range(sweeps):
        if max((_equalize_(pair) for pair in pairs), default=0.0) < _STILL:
            break
    return equalized


@torch.no_grad()
def _equalize_(pair: _Pair) -> float:
    """Even out one pair; return by how much the scales differ from 1, at the most."""
    scales = pair.scales()
    first, second = pair.factors(scales)
    if not (check_scalable(pair.first, first) and check_scalable(pair.second, second)):
        return 0.0
    scale_weight_(pair.first, first)
    scale_weight_(pair.second, second)
    if pair.first.bias is not None:
        pair.first.bias.copy_((pair.first.bias.double() / scales).to(pair.first.bias.dtype))
    return float((scales - 1).abs().max())


def _pairs(model: fx.GraphModule) -> list[_Pair]:
    """Return the layers that follow each other, in order."""
    layers = own_layers(model)
    pairs = []
    for node, first in layers.items():
        user, steps = _next(model, node)
        if user in layers and (repeats := _repeats(first, layers[user], steps)):
            pairs.append(_Pair(first, layers[user], repeats))
    return pairs


def _repeats(first: nn.Module, second: nn.Module, steps: set[str]) -> int:
    """Return how many inputs of ``second`` each channel of ``first`` becomes; 0: none can tell."""
    channels, to_linear = len(first.weight), isinstance(second, nn.Linear)
    inputs = second.in_features if to_linear else second.in_channels
    if isinstance(first, nn.Linear):
        # Its features are the last axis, which pooling would mix.
        return int(to_linear and inputs == channels and not steps & {"pool", "mean"})
    if not to_linear:
        return int(inputs == channels and not steps & {"flat", "mean"})
    if "mean" in steps:
        return int(inputs == channels)
    return inputs // channels if "flat" in steps and inputs % channels == 0 else 0


def _next(model: fx.GraphModule, node: fx.Node) -> tuple[fx.Node | None, set[str]]:
    """Return the next node that is more than a ReLU and the like, and what lies on the way."""
    steps: set[str] = set()
    while len(users := tensor_users(node)) == 1:
        node = users[0]
        step = _step(model, node)
        if step is None:
            return node, steps
        steps.add(step)
    return None, steps


def _step(model: fx.GraphModule, node: fx.Node) -> str | None:
    """Return what a node does to channels that were scaled; None: no longer the same function."""
    kind, module = kind_of(model, node), module_of(model, node)
    name = type(module).__name__ if module is not None else _function_name(node)
    if kind == "average" and name == "mean":
        dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        return "mean" if dims in ((2, 3), [2, 3], (-2, -1), [-2, -1]) else None
    if name in ("Flatten", "flatten", "view", "reshape"):
        return "flat" if _keeps_examples(node, module) else None
    if kind not in ("pass", "average") or name in _MOVING_AXES:
        return None
    return "pool" if "pool" in name.lower() else "same"


def _keeps_examples(node: fx.Node, module: nn.Module | None) -> bool:
    """Return whether a reshaping makes one row of each example, channel after channel."""
    sizes = node.args[1:]
    if module is not None:
        return (module.start_dim, module.end_dim) == (1, -1)
    if _function_name(node) == "flatten":
        return sizes == (1,) and not node.kwargs
    # view(x.size(0), -1): as many rows as examples. With other sizes channels may be cut.
    return len(sizes) == 2 and isinstance(sizes[0], fx.Node)


def _function_name(node: fx.Node) -> str:
    if node.target in (F.max_pool1d, F.max_pool2d, F.max_pool3d):
        return "max_pool"  # torch calls these "fn"
    return node.target if isinstance(node.target, str) else node.target.__name__

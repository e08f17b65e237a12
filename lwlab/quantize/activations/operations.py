"""What a node of a graph does, in the words of quantization.

    input      the tensor that the model is given
    layer      convolution or linear layer, as a module
    norm       BatchNorm, as a module
    sum        a + b, a - b of two tensors
    join       torch.cat of tensors
    average    mean, average pooling
    pass       hands values on or picks some, 0 for others: ReLU, max-pooling, reshaping, Dropout
    clamp      limits values: ReLU6, Hardtanh, clamp
    quantizer  a FakeQuantizeActivation
    shape      a number about a tensor, no tensor
    float      anything else: no integer arithmetic is known for it here
    output     the result

Of codes on a grid, ``pass`` gives codes of the same grid, and does so whether it comes before or
after the rounding, since it keeps the order of values. ``clamp`` keeps the order too, but its limit
may lie between two codes.
"""

from __future__ import annotations

import builtins
import operator

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lwlab.quantize.activations.activation import FakeQuantizeActivation

__all__ = ["INTEGER_KINDS", "kind_of", "module_of", "tensor_users"]

INTEGER_KINDS = frozenset({"layer", "norm", "sum", "join", "average"})
"""The kinds that integer arithmetic computes with: their inputs must be codes."""

_MODULES: dict[str, tuple[type[nn.Module], ...]] = {
    "layer": (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear),
    "norm": (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    "average": (
        nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
        nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    ),
    "clamp": (nn.ReLU6, nn.Hardtanh),
    "pass": (
        nn.ReLU, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.Identity, nn.Flatten, nn.Unflatten,
        nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    ),
    "quantizer": (FakeQuantizeActivation,),
}  # fmt: skip
_FUNCTIONS: dict[str, tuple] = {
    "sum": (operator.add, operator.iadd, torch.add, operator.sub, operator.isub, torch.sub),
    "join": (torch.cat, torch.concat, torch.concatenate),
    "average": (
        torch.mean, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d,
        F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d,
    ),
    "clamp": (F.relu6, F.hardtanh, F.hardtanh_, torch.clamp, torch.clamp_, torch.clip),
    "pass": (
        F.relu, F.relu_, torch.relu, torch.relu_, F.max_pool1d, F.max_pool2d, F.max_pool3d,
        F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.flatten, torch.reshape,
        torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze,
    ),
}  # fmt: skip
_METHODS: dict[str, tuple[str, ...]] = {
    "sum": ("add", "add_", "sub", "sub_"),
    "average": ("mean",),
    "clamp": ("clamp", "clamp_", "clip", "clip_"),
    "pass": (
        "relu", "relu_", "flatten", "view", "reshape", "permute", "transpose", "squeeze",
        "unsqueeze", "contiguous",
    ),
    "shape": ("size", "dim", "ndimension", "numel"),
}  # fmt: skip
_ABOUT_A_TENSOR = ("shape", "ndim", "dtype", "device")


def kind_of(model: fx.GraphModule, node: fx.Node) -> str:
    """Return the kind of ``node``, one of those above."""
    if node.op in ("placeholder", "output"):
        return "input" if node.op == "placeholder" else "output"
    if _is_shape(node):
        return "shape"
    kind = _listed_kind(model, node)
    return "float" if kind is not None and not _fits(model, node, kind) else kind or "float"


def module_of(model: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the module that ``node`` calls, or None."""
    return model.get_submodule(node.target) if node.op == "call_module" else None


def tensor_users(node: fx.Node) -> list[fx.Node]:
    """Return the nodes that take the tensor of ``node``; asking for its shape does not count."""
    return [user for user in node.users if not _is_shape(user)]


def _listed_kind(model: fx.GraphModule, node: fx.Node) -> str | None:
    if node.op == "call_module":
        module = model.get_submodule(node.target)
        return next((kind for kind, types in _MODULES.items() if isinstance(module, types)), None)
    table = {"call_function": _FUNCTIONS, "call_method": _METHODS}.get(node.op, {})
    return next((kind for kind, known in table.items() if node.target in known), None)


def _fits(model: fx.GraphModule, node: fx.Node, kind: str) -> bool:
    """Return whether the arguments are such that the kind is what it is said to be."""
    if kind == "sum":
        plain = not node.kwargs.get("alpha")  # a + alpha * b
        return plain and len(node.args) == 2 and all(_is_activation(arg) for arg in node.args)
    if kind == "join":
        tensors = node.args[0] if node.args else ()
        return isinstance(tensors, list | tuple) and all(_is_activation(arg) for arg in tensors)
    if not node.args or not _is_activation(node.args[0]):
        return False
    # A limit that is a tensor is computed; max-pooling with indices returns two tensors.
    limited = kind == "clamp" and any(_is_tensor(arg) for arg in node.all_input_nodes[1:])
    return not limited and not _returns_indices(model, node)


def _returns_indices(model: fx.GraphModule, node: fx.Node) -> bool:
    given = getattr(module_of(model, node), "return_indices", False)
    return bool(given or node.kwargs.get("return_indices"))


def _is_shape(node: fx.Node) -> bool:
    if node.op == "call_method" and node.target in _METHODS["shape"]:
        return True
    if node.op == "call_function" and node.target is builtins.getattr:
        return node.args[1] in _ABOUT_A_TENSOR
    inputs = node.all_input_nodes
    computed = node.op in ("call_function", "call_method")
    return computed and bool(inputs) and all(_is_shape(given) for given in inputs)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, fx.Node) and not _is_shape(value))


def _is_activation(value: object) -> bool:
    """Return whether ``value`` is a tensor that depends on the input: no parameter, no number."""
    return isinstance(value, fx.Node) and value.op != "get_attr" and not _is_shape(value)

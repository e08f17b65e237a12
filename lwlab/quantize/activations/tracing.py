"""From a module to its graph: which operation takes which tensor.

A weight can be quantized where it lies. An activation exists only while the model runs, so that
one must know the steps of ``forward``. torch.fx finds them: it runs ``forward`` once with stand-ins
in place of tensors, and writes down what is done to them. The result computes the same, holds the
same layers under the same names, and has its steps in ``.graph``, one node each.

Source: Reed et al. 2022, "torch.fx: Practical program capture and transformation for deep learning
in Python", arXiv:2112.08429.
"""

from __future__ import annotations

import copy
import operator

import torch.nn.functional as F
from torch import fx, nn

from lwlab.checks import check_module, one_line

__all__ = ["trace"]

_WITHOUT_GRAPH = "Weights alone can be quantized without a graph: prepare_(model, ...)."
_DROPOUTS = {
    F.dropout: nn.Dropout,
    F.dropout1d: nn.Dropout1d,
    F.dropout2d: nn.Dropout2d,
    F.dropout3d: nn.Dropout3d,
}


class _Tracer(fx.Tracer):
    """Stops at the layers of torch, also at one with parametrizations, or a subclass of it."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # A subclass with a forward of its own may do anything: its steps are followed.
        own = next(kind for kind in type(m).__mro__ if "forward" in vars(kind))
        return own.__module__.startswith("torch.nn.") and own is not nn.Sequential


class _Traced(fx.GraphModule):
    """A GraphModule whose deep copies keep its name, and know what is no part of the state."""

    def __deepcopy__(self, memo: dict) -> _Traced:
        copied = super().__deepcopy__(memo)
        copied._non_persistent_buffers_set |= self._non_persistent_buffers_set
        type(copied).__name__ = type(self).__name__  # each GraphModule has a class of its own
        return copied


def trace(model: nn.Module) -> fx.GraphModule:
    """Return a copy of ``model`` that has a graph, ``.graph``; ``model`` stays as it is.

    All submodules and parameters keep their names, so that a ``state_dict`` fits both ways, and
    masks and quantizers on the weights stay on. The copy can be trained, deep-copied and prepared
    as the model itself. A model that has a graph already is copied.

    Args:
        model: any module whose steps do not depend on the values or sizes of its inputs.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: torch.fx cannot follow it, it takes other steps in training than in evaluation
            mode, or it works in place on a tensor that is used twice.
    """
    check_module("model", model)
    if isinstance(model, fx.GraphModule):
        return copy.deepcopy(model)
    own, graph = _followed(model, model.training)
    dropouts = _dropouts(graph, _followed(model, not model.training)[1])
    traced = _Traced(own, graph, class_name=type(model).__name__)
    _keep_tree_(traced, own)
    _give_modules_(traced, dropouts)
    _check_in_place(traced)
    return traced


def _followed(model: nn.Module, training: bool) -> tuple[nn.Module, fx.Graph]:
    """Return a copy of ``model`` with its flags, and the steps that it takes with others."""
    own = copy.deepcopy(model)
    flags = [(module, module.training) for module in own.modules()]
    own.train(training)
    try:
        graph = _Tracer().trace(own)
    except Exception as error:
        raise ValueError(
            f"model must be one that torch.fx can follow, got {type(model).__name__}: "
            f"{one_line(error)}. {_WITHOUT_GRAPH}"
        ) from error
    for module, flag in flags:
        module.training = flag
    return own, graph


def _dropouts(graph: fx.Graph, other: fx.Graph) -> list[fx.Node]:
    """Return the nodes of F.dropout(x, training=self.training), which looks at the flag.

    Args:
        graph: the steps in the present mode.
        other: the steps in the other one, training or evaluation.

    Raises:
        ValueError: there is more that differs.
    """
    pairs = list(zip(graph.nodes, other.nodes, strict=False))
    different = [one for one, two in pairs if _step(one) != _step(two)]
    if len(graph.nodes) != len(other.nodes) or any(n.target not in _DROPOUTS for n in different):
        raise ValueError(
            f"model must take the same steps in training and in evaluation mode, got other ones. "
            f"Put what differs into a module of torch.nn. {_WITHOUT_GRAPH}"
        )
    return different


def _step(node: fx.Node) -> str:
    return repr((node.name, node.op, node.target, node.args, node.kwargs))


def _keep_tree_(traced: fx.GraphModule, own: nn.Module) -> None:
    """Give ``traced`` the whole tree of ``own``: order, types, and what the graph does not use."""
    constants = {name: traced._buffers[name] for name in traced._buffers.keys() - own._buffers}
    traced._modules, traced._parameters = own._modules, own._parameters
    traced._buffers = own._buffers
    traced._non_persistent_buffers_set |= own._non_persistent_buffers_set
    for name, constant in constants.items():  # made in forward: no part of the state
        traced.register_buffer(name, constant, persistent=False)


def _give_modules_(traced: fx.GraphModule, dropouts: list[fx.Node]) -> None:
    """Turn functions that look at the flag of the model into modules, which have their own."""
    for node in dropouts:
        name = f"dropout_of_{node.name}"
        traced.add_module(name, _DROPOUTS[node.target](node.kwargs["p"]).train(traced.training))
        node.op, node.target, node.kwargs = "call_module", name, {}
    traced.recompile()


def _check_in_place(traced: fx.GraphModule) -> None:
    """Check that nobody else takes a tensor that is changed in place: its value is about to move.

    Raises:
        ValueError: naming the first such step.
    """
    for node in traced.graph.nodes:
        given = node.args[0] if node.args else None
        if isinstance(given, fx.Node) and len(given.users) > 1 and _in_place(traced, node):
            raise ValueError(
                f"model must not change a tensor in place that is used twice, got "
                f"{node.name!r} on {given.name!r}. Try inplace=False."
            )


def _in_place(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(traced.get_submodule(node.target), "inplace", False))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    named = name.endswith("_") and not name.startswith("_")
    changes = named or node.target in (operator.iadd, operator.isub, operator.imul)
    return node.op != "placeholder" and (changes or bool(node.kwargs.get("inplace")))

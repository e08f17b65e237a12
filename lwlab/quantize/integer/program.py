"""Writing the integer program: one node of the prepared model after the other.

A ``Program`` knows what each tensor means (see ``values``) and changes it on request: to real
numbers for what runs in float, to the codes of a quantizer for what runs in integers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from lwlab.quantize.activations import kind_of, module_of, tensor_users
from lwlab.quantize.integer.model import FloatOperation
from lwlab.quantize.integer.rescaling import Dequantize, Quantize, Requantize
from lwlab.quantize.integer.values import Codes, Real, Sums, Value
from lwlab.quantize.preparing import quantized_weights
from lwlab.quantize.tensor import QuantizedTensor

__all__ = ["NoIntegers", "Program", "point_of", "title_of"]


class NoIntegers(Exception):  # noqa: N818 - it is an answer, no error
    """Says why there are no integers for an operation."""


class Program:
    """The program under construction.

    Args:
        prepared: the prepared model; it is copied.

    Attributes:
        source: the copy that is read.
        weights: the quantized weight by the ``id`` of its layer in ``source``.
        values: what each node of ``source`` became.
        float_operations: what runs in float so far.
        points: the step with the codes of each quantizer.
    """

    def __init__(self, prepared: fx.GraphModule) -> None:
        self.source = copy.deepcopy(prepared).eval()
        self.weights: dict[int, QuantizedTensor] = {
            id(self.source.get_submodule("" if name == "model" else name)): quantized
            for name, quantized in quantized_weights(self.source).items()
        }
        self.values: dict[fx.Node, Value] = {}
        self.float_operations: list[FloatOperation] = []
        self.points: dict[str, str] = {}
        self._graph = fx.Graph()
        self._parts: dict[str, Any] = {}
        self._reals: dict[fx.Node, fx.Node] = {}

    def finish(self) -> fx.GraphModule:
        """Return the program as a module."""
        self._graph.lint()
        return fx.GraphModule(self._parts, self._graph, class_name="IntegerProgram")

    def emit(self, name: str, module: nn.Module, *inputs: fx.Node) -> fx.Node:
        """Add a step that calls ``module``, under ``name`` or the next free one like it."""
        own = self._place(name, module)
        return self._graph.create_node("call_module", own, inputs, name=own.replace(".", "_"))

    def keep(self, node: fx.Node, read: Callable[[fx.Node], fx.Node] | None = None) -> fx.Node:
        """Add ``node`` as it is, on real numbers, or on the tensors that ``read`` gives it."""
        kept = self._graph.node_copy(node, read or self.real)
        if node.op in ("call_module", "get_attr"):
            path, _, name = node.target.rpartition(".")
            part = getattr(self.source.get_submodule(path), name)
            kept.target = self._place(node.target, part)
        return kept

    def _place(self, name: str, part: Any) -> str:
        """Give ``part`` the name ``name``, or the next free one like it; return that."""
        own, number = name, 1
        while self._parts.get(own, part) is not part or self._holds(own):
            own, number = f"{name}_{number}", number + 1
        self._parts[own] = part
        return own

    def _holds(self, name: str) -> bool:
        return any(part.startswith(f"{name}.") for part in self._parts)

    def in_float(self, node: fx.Node, reason: str) -> Real:
        """Add ``node`` in float, and list it."""
        kind = getattr(node.target, "__name__", str(node.target))
        if node.op == "call_module":
            kind = type(module_of(self.source, node)).__name__.removeprefix("Parametrized")
        self.float_operations.append(FloatOperation(title_of(node), kind, reason))
        return Real(self.keep(node))

    def real(self, node: fx.Node) -> fx.Node:
        """Return the tensor of ``node`` as real numbers."""
        value = self.values[node]
        if isinstance(value, Real):
            return value.node
        if value.node not in self._reals:
            if isinstance(value, Codes):
                way_out = Dequantize(value.scale, value.zero_point)
            else:
                way_out = Dequantize(value.scale, axis=value.axis)
            name = f"{value.node.name}_real"
            self._reals[value.node] = self.emit(name, way_out, value.node)
        return self._reals[value.node]

    def codes(self, node: fx.Node) -> Codes:
        """Return the tensor of ``node`` if it is stored as codes.

        Raises:
            NoIntegers: it is not.
        """
        value = self.values[node]
        if not isinstance(value, Codes):
            raise NoIntegers(f"its input {node.name!r} has no activation quantizer")
        return value

    def on_grid(self, node: fx.Node, quantizer_node: fx.Node) -> Codes:
        """Return the tensor of ``node`` as codes of a quantizer; it may be that already."""
        value, quantizer = self.values[node], module_of(self.source, quantizer_node)
        if isinstance(value, Codes) and value.quantizer is quantizer:
            return value
        scale, zero_point = quantizer.scale.detach(), quantizer.zero_point.detach()
        ends = (quantizer.quant_min, quantizer.quant_max)
        if isinstance(value, Real):
            way_in: nn.Module = Quantize(scale, zero_point, *ends)
        elif isinstance(value, Sums):
            ratio = value.scale / scale.double()
            way_in = Requantize(ratio, zero_point, *ends, axis=value.axis)
        else:
            ratio = value.scale.double() / scale.double()
            origin = value.zero_point
            way_in = Requantize(ratio, zero_point, *ends, input_zero_point=origin)
        name = f"{point_of(quantizer_node)}_codes"
        return Codes(self.emit(name, way_in, value.node), quantizer)

    def quantizer_ahead(self, node: fx.Node) -> fx.Node | None:
        """Return the quantizer that the tensor of ``node`` comes to, over passing nodes at most."""
        while len(users := tensor_users(node)) == 1:
            [node] = users
            kind = kind_of(self.source, node)
            if kind == "quantizer":
                return node
            if kind not in ("pass", "clamp"):
                return None
        return None


def point_of(quantizer_node: fx.Node) -> str:
    """Return the name of the point that a quantizer stands at."""
    return quantizer_node.target.rpartition(".")[2]


def title_of(node: fx.Node) -> str:
    """Return the name of what ``node`` calls: of a layer its path, else the node's own."""
    return node.target if node.op == "call_module" else node.name

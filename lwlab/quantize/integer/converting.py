"""Convert: from a prepared model to one that computes in integers.

    prepared (float numbers on grids)            converted (the integers themselves)

    conv -> max_pool -> relu -> [quantizer]      IntegerConv -> IntegerMaxPool -> IntegerReLU
                                                 -> Requantize

The prepared model computes with real numbers that lie on grids, so each is ``code - zero_point``
times a scale. A sum of products of such numbers is a sum of products of whole numbers, times one
scale: the scale is taken out, and only whole numbers are left.

The two agree but for the rounding of float32 in the prepared model and of the multipliers and
biases in this one: now and then a code differs by one.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", arXiv:1712.05877, section 2.
"""

from __future__ import annotations

from torch import fx, nn

from lwlab.checks import check_module
from lwlab.models.layers import compressible_layers
from lwlab.quantize.activations import kind_of, quantized_activations
from lwlab.quantize.integer.model import IntegerModel
from lwlab.quantize.integer.program import NoIntegers, Program, point_of
from lwlab.quantize.integer.rules import RULES
from lwlab.quantize.integer.values import Codes, Real, Value
from lwlab.quantize.preparing import current_bits

__all__ = ["convert"]


def convert(prepared: nn.Module, *, strict: bool = False) -> IntegerModel:
    """Return the integer model that computes what ``prepared`` computes; that one stays as it is.

    What has no integer form (a sigmoid), or lacks what integers need (a layer with float weights,
    an input without quantizer, one scale per group of weights), runs in float, and is listed in
    ``float_operations`` with the reason.

    Args:
        prepared: from ``prepare_activations``, its weights prepared by ``prepare_``, both before
            or after training.
        strict: refuse a model of which anything would run in float.

    Raises:
        TypeError: ``prepared`` is no module.
        ValueError: its activations or its weights are not quantized; or something would run in
            float with ``strict``.
    """
    program = Program(_check_prepared(prepared))
    for node in program.source.graph.nodes:
        program.values[node] = _value_of(program, node)
    if strict and program.float_operations:
        raise ValueError(
            f"model must compute in integers throughout with strict=True, got "
            f"{len(program.float_operations)} in float: "
            f"{'; '.join(str(operation) for operation in program.float_operations)}."
        )
    return IntegerModel(program.finish(), tuple(program.float_operations), program.points)


def _value_of(program: Program, node: fx.Node) -> Value:
    """Add the steps of ``node``, and return what its tensor means."""
    kind = kind_of(program.source, node)
    if kind == "quantizer":
        return _quantized(program, node)
    if kind in ("input", "shape") or node.op == "get_attr":
        return Real(program.keep(node, lambda given: program.values[given].node))
    if kind == "output":
        return Real(program.keep(node))
    if kind not in RULES:
        return program.in_float(node, "there is no integer form for it here")
    try:
        return RULES[kind](program, node)
    except NoIntegers as reason:
        return program.in_float(node, str(reason))


def _quantized(program: Program, node: fx.Node) -> Codes:
    codes = program.on_grid(node.args[0], node)
    program.points[point_of(node)] = codes.node.name
    return codes


def _check_prepared(model: nn.Module) -> fx.GraphModule:
    check_module("model", model)
    name = type(model).__name__
    if not isinstance(model, fx.GraphModule) or not quantized_activations(model):
        raise ValueError(
            f"model must have quantized activations, got {name} without. Try "
            f"prepare_activations(model, dataset.train.take(500))."
        )
    if compressible_layers(model) and not current_bits(model):
        raise ValueError(
            f"model must have quantized weights, got {name} with all weights in float. Try "
            f"prepare_(model, num_bits=8) before prepare_activations."
        )
    return model

"""The rules for arithmetic: what a layer, a sum, an average of codes becomes.

Each takes the program and a node of the prepared model, adds the steps, and returns what the result
means; or raises ``NoIntegers`` with the reason, and the node runs in float.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lwlab.quantize.activations import module_of
from lwlab.quantize.granularity import PerTensor
from lwlab.quantize.integer.arguments import arguments_of
from lwlab.quantize.integer.averages import AVERAGE_BITS, IntegerAveragePool, IntegerMean
from lwlab.quantize.integer.batchnorm import IntegerBatchNorm
from lwlab.quantize.integer.layers import IntegerConv, IntegerLayer, IntegerLinear
from lwlab.quantize.integer.passing import clamp_rule, pass_rule
from lwlab.quantize.integer.program import NoIntegers, Program, title_of
from lwlab.quantize.integer.sums import IntegerConcat, IntegerSum
from lwlab.quantize.integer.values import Codes, Sums, Value
from lwlab.quantize.tensor import QuantizedTensor

__all__ = ["RULES"]

_MINUS = (operator.sub, operator.isub, torch.sub, "sub", "sub_")
_POOLS = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}
_POOL_CALLS = {F.avg_pool1d: 1, F.avg_pool2d: 2, F.avg_pool3d: 3}
_ADAPTIVE = {nn.AdaptiveAvgPool1d: 1, nn.AdaptiveAvgPool2d: 2, nn.AdaptiveAvgPool3d: 3}
_ADAPTIVE_CALLS = {
    F.adaptive_avg_pool1d: 1,
    F.adaptive_avg_pool2d: 2,
    F.adaptive_avg_pool3d: 3,
}
_POOL_DEFAULTS = {
    "kernel_size": None,
    "stride": None,
    "padding": 0,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}


def _layer_rule(program: Program, node: fx.Node) -> Value:
    layer = module_of(program.source, node)
    weight = program.weights.get(id(layer))
    if weight is None:
        raise NoIntegers("its weights are in float")
    codes = program.codes(node.args[0])
    scale, zero_points = _per_output(weight)
    scale = scale * codes.scale.double()
    bias = None if layer.bias is None else (layer.bias.detach().double() / scale).round()
    integers = (weight.codes, zero_points, bias, codes.zero_point, codes.largest)
    try:
        module = _integer_layer(layer, integers)
    except ValueError as error:
        raise NoIntegers(str(error).rstrip(".")) from error
    return Sums(program.emit(title_of(node), module, codes.node), scale, module.channel_axis)


def _integer_layer(layer: nn.Module, integers: tuple) -> IntegerLayer:
    if isinstance(layer, nn.Linear):
        return IntegerLinear(*integers)
    return IntegerConv(*integers, like=layer)


def _per_output(weight: QuantizedTensor) -> tuple[Tensor, Tensor]:
    """Return the scale, float64, () or (outputs,), and the zero points, (outputs,)."""
    columns = []
    for numbers in (weight.scale, weight.zero_point):
        spread = weight.granularity.spread(numbers, tuple(weight.shape))
        column = spread.expand(weight.shape).flatten(1)
        if not torch.equal(column, column[:, :1].expand_as(column)):
            raise NoIntegers(
                f"its weights have the scales of {weight.granularity}, and a sum of integers has "
                f"one per output"
            )
        columns.append(column[:, 0])
    scale, zero_points = columns
    alone = isinstance(weight.granularity, PerTensor)
    return (scale[0] if alone else scale).double(), zero_points


def _norm_rule(program: Program, node: fx.Node) -> Value:
    norm = module_of(program.source, node)
    if norm.running_mean is None:
        raise NoIntegers("it takes mean and variance from each batch")
    codes = program.codes(node.args[0])
    module = IntegerBatchNorm(norm, codes.scale, codes.zero_point, codes.largest)
    return Sums(program.emit(title_of(node), module, codes.node), module.scale)


def _sum_rule(program: Program, node: fx.Node) -> Value:
    minus = node.target in _MINUS
    return _together(program, node, node.args, functools.partial(IntegerSum, minus=minus))


def _join_rule(program: Program, node: fx.Node) -> Value:
    given = arguments_of(node, ("dim",))
    if given is None:
        raise NoIntegers("the axis to join along is computed")
    dim = given.get("dim", given.get("axis", 0))
    return _together(program, node, node.args[0], functools.partial(IntegerConcat, dim=dim))


def _together(
    program: Program, node: fx.Node, operands: Any, make: Callable[..., IntegerSum | IntegerConcat]
) -> Value:
    codes = [program.codes(operand) for operand in operands]
    module = make([part.scale for part in codes], [part.zero_point for part in codes])
    step = program.emit(title_of(node), module, *(part.node for part in codes))
    return Sums(step, module.scale)


def _average_rule(program: Program, node: fx.Node) -> Value:
    codes = program.codes(node.args[0])
    module = _average_module(program, node, codes)
    scale = codes.scale.double() / 2**AVERAGE_BITS
    return Sums(program.emit(title_of(node), module, codes.node), scale)


def _average_module(program: Program, node: fx.Node, codes: Codes) -> nn.Module:
    pool: Any = module_of(program.source, node)
    if pool is not None:
        settings = None
        if isinstance(pool, tuple(_POOLS)):
            settings = {name: getattr(pool, name, None) for name in _POOL_DEFAULTS}
        ranks = {**_POOLS, **_ADAPTIVE}
        rank = next(rank for kind, rank in ranks.items() if isinstance(pool, kind))
        return IntegerAveragePool(pool, settings, codes.zero_point, rank)
    if node.target in _POOL_CALLS:
        given = _plain_arguments(node, tuple(_POOL_DEFAULTS))
        pool = functools.partial(node.target, **given)
        settings = {**_POOL_DEFAULTS, **given}
        return IntegerAveragePool(pool, settings, codes.zero_point, _POOL_CALLS[node.target])
    if node.target in _ADAPTIVE_CALLS:
        pool = functools.partial(node.target, **_plain_arguments(node, ("output_size",)))
        return IntegerAveragePool(pool, None, codes.zero_point, _ADAPTIVE_CALLS[node.target])
    return _mean_module(node, codes)


def _mean_module(node: fx.Node, codes: Codes) -> IntegerMean:
    given = _plain_arguments(node, ("dim", "keepdim"))
    if given.get("dtype") is not None:
        raise NoIntegers("it asks for a floating-point type")
    dim = given.get("dim", given.get("axis"))
    return IntegerMean(dim, bool(given.get("keepdim", False)), codes.zero_point)


def _plain_arguments(node: fx.Node, names: tuple[str, ...]) -> dict[str, Any]:
    given = arguments_of(node, names)
    if given is None:
        raise NoIntegers("its settings are computed")
    return given


RULES: dict[str, Callable[[Program, fx.Node], Value]] = {
    "layer": _layer_rule,
    "norm": _norm_rule,
    "sum": _sum_rule,
    "join": _join_rule,
    "average": _average_rule,
    "pass": pass_rule,
    "clamp": clamp_rule,
}
"""The rule for each kind of node that has integers (see ``activations.operations``)."""

"""The rules for what picks, limits and moves values: ReLU, max-pooling, clamps, reshaping.

They act on sums or on codes alike, since the rounding to codes keeps the order of numbers. What
needs one scale for all channels, such as flattening them, has the sums rounded to codes before it.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lwlab.quantize.activations import FakeQuantizeActivation, module_of
from lwlab.quantize.affine import quantize
from lwlab.quantize.integer.arguments import arguments_of
from lwlab.quantize.integer.max_pool import IntegerMaxPool, IntegerReLU
from lwlab.quantize.integer.program import NoIntegers, Program, title_of
from lwlab.quantize.integer.rescaling import ClampCodes
from lwlab.quantize.integer.values import Codes, Real, Sums, Value

__all__ = ["clamp_rule", "pass_rule"]

_IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_IDENTITY_CALLS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, "contiguous")
_RELU_CALLS = (F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_")
_POOLS = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
_POOL_CALLS = {F.max_pool1d: 1, F.max_pool2d: 2, F.max_pool3d: 3}
_POOL_ARGUMENTS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_IN_FLOAT = "its input is in float"


def pass_rule(program: Program, node: fx.Node) -> Value:
    """Return the value of ReLU, max-pooling, Dropout or reshaping.

    Raises:
        NoIntegers: its input is in float, or has no scale that fits.
    """
    module = module_of(program.source, node)
    given = program.values[node.args[0]]
    if isinstance(module, _IDENTITIES) or node.target in _IDENTITY_CALLS:
        return given
    if isinstance(module, nn.ReLU) or node.target in _RELU_CALLS:
        return _relu(program, node, given)
    rank = next((rank for kind, rank in _POOLS.items() if isinstance(module, kind)), None)
    rank = rank or _POOL_CALLS.get(node.target)
    return _pool(program, node, given, rank) if rank else _reshape(program, node, given)


def clamp_rule(program: Program, node: fx.Node) -> Value:
    """Return the codes of a clamp (ReLU6, Hardtanh): rounded first, since a limit is a code.

    Raises:
        NoIntegers: its input is in float, no quantizer follows, or a limit is computed.
    """
    if isinstance(program.values[node.args[0]], Real):
        raise NoIntegers(_IN_FLOAT)
    ahead = program.quantizer_ahead(node)
    if ahead is None:
        raise NoIntegers("no activation quantizer follows, on whose grid to clamp")
    quantizer = module_of(program.source, ahead)
    limits = [_code_of(limit, quantizer) for limit in _limits(program, node)]
    codes = program.on_grid(node.args[0], ahead)
    return Codes(program.emit(title_of(node), ClampCodes(*limits), codes.node), quantizer)


def _relu(program: Program, node: fx.Node, given: Value) -> Value:
    if isinstance(given, Real):
        raise NoIntegers(_IN_FLOAT)
    if isinstance(given, Codes):
        clamp = ClampCodes(low=given.zero_point)
        return Codes(program.emit(title_of(node), clamp, given.node), given.quantizer)
    return Sums(program.emit(title_of(node), IntegerReLU(), given.node), given.scale, given.axis)


def _pool(program: Program, node: fx.Node, given: Value, rank: int) -> Value:
    if isinstance(given, Real):
        raise NoIntegers(_IN_FLOAT)
    settings = {}
    pool: Any = module_of(program.source, node)
    if pool is None:
        settings = arguments_of(node, _POOL_ARGUMENTS)
        if settings is None:
            raise NoIntegers("its settings are computed")
        pool = functools.partial(node.target, **settings)
    if isinstance(given, Sums) and given.scale.dim() and given.axis != 1:
        given = _rounded(program, node)  # it would compare sums of different scales
    pooled = program.emit(title_of(node), IntegerMaxPool(pool, rank), given.node)
    if isinstance(given, Codes):
        return Codes(pooled, given.quantizer)
    return Sums(pooled, given.scale, given.axis)


def _rounded(program: Program, node: fx.Node) -> Codes:
    """Return the input of ``node`` as codes of the quantizer ahead."""
    ahead = program.quantizer_ahead(node)
    if ahead is None:
        raise NoIntegers("its input has a scale per channel, and no quantizer follows")
    return program.on_grid(node.args[0], ahead)


def _reshape(program: Program, node: fx.Node, given: Value) -> Value:
    if isinstance(given, Sums) and given.scale.dim():
        if program.quantizer_ahead(node) is None:
            return Real(program.keep(node))  # moving real numbers is no arithmetic
        given = _rounded(program, node)
    first = node.args[0]
    moved = program.keep(node, lambda arg: given.node if arg is first else program.values[arg].node)
    if isinstance(given, Codes):
        return Codes(moved, given.quantizer)
    return Sums(moved, given.scale) if isinstance(given, Sums) else Real(moved)


def _limits(program: Program, node: fx.Node) -> tuple[float | None, float | None]:
    module = module_of(program.source, node)
    if module is not None:
        return module.min_val, module.max_val  # ReLU6 is a Hardtanh from 0 to 6
    if node.target is F.relu6:
        return 0.0, 6.0
    hard = node.target in (F.hardtanh, F.hardtanh_)
    names, ends = (("min_val", "max_val"), (-1.0, 1.0)) if hard else (("min", "max"), (None, None))
    given = arguments_of(node, names)
    if given is None:
        raise NoIntegers("its limits are computed")
    low, high = (given.get(name, end) for name, end in zip(names, ends, strict=True))
    return low, high


def _code_of(limit: float | None, quantizer: FakeQuantizeActivation) -> Tensor | None:
    if limit is None:
        return None
    ends = {"quant_min": quantizer.quant_min, "quant_max": quantizer.quant_max}
    real = torch.tensor(float(limit))
    return quantize(real, quantizer.scale.detach(), quantizer.zero_point, **ends)

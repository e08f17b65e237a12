"""Integer arithmetic: a prepared model's numbers are whole numbers times scales; here without them.

Read ``fixed_point`` (a real multiplier as two whole numbers), ``layers`` and ``rescaling`` (what a
layer of integers computes), ``sums``, ``averages``, ``batchnorm``, ``max_pool``; then ``model``
(the program they make) and ``converting``, with the rules in ``rules`` and ``passing``. ``exact``
says why fast floating-point routines may do the sums.
"""

from lwlab.quantize.integer.averages import IntegerAveragePool, IntegerMean
from lwlab.quantize.integer.batchnorm import IntegerBatchNorm
from lwlab.quantize.integer.converting import convert
from lwlab.quantize.integer.fixed_point import multiply, to_fixed_point
from lwlab.quantize.integer.layers import IntegerConv, IntegerLinear
from lwlab.quantize.integer.max_pool import IntegerMaxPool, IntegerReLU
from lwlab.quantize.integer.model import FloatOperation, IntegerModel, Step
from lwlab.quantize.integer.rescaling import ClampCodes, Dequantize, Quantize, Requantize
from lwlab.quantize.integer.sums import IntegerConcat, IntegerSum

__all__ = [
    "ClampCodes",
    "Dequantize",
    "FloatOperation",
    "IntegerAveragePool",
    "IntegerBatchNorm",
    "IntegerConcat",
    "IntegerConv",
    "IntegerLinear",
    "IntegerMaxPool",
    "IntegerMean",
    "IntegerModel",
    "IntegerReLU",
    "IntegerSum",
    "Quantize",
    "Requantize",
    "Step",
    "convert",
    "multiply",
    "to_fixed_point",
]

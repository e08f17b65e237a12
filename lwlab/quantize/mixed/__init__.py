"""Mixed precision: how many bits each layer gets, so that a file meets a budget.

Read ``sensitivity`` (what each layer costs at each width, measured), ``hessian`` (the same guessed
from curvature), then ``allocation`` (which widths to take), with ``costs``, ``knapsack`` and
``candidates`` behind it. Widths of single output channels: ``lwlab.quantize.fake_channels``.
"""

from lwlab.quantize.mixed.allocation import allocate_bits
from lwlab.quantize.mixed.bit_point import BitPoint
from lwlab.quantize.mixed.hessian import LayerTrace, hessian_trace, trace_proxy
from lwlab.quantize.mixed.plan import BitPlan, LayerBits
from lwlab.quantize.mixed.sensitivity import scan_bits
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity

__all__ = [
    "BitPlan",
    "BitPoint",
    "BitSensitivity",
    "LayerBits",
    "LayerTrace",
    "allocate_bits",
    "hessian_trace",
    "scan_bits",
    "trace_proxy",
]

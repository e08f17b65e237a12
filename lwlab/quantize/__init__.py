"""Quantization: few distinct values, told apart by short codes.

Read ``affine`` (between numbers and codes), then ``grid`` (which scale fits a range),
``granularity`` (which values share one) and ``observers`` (which range to take). ``tensor`` joins
them for one tensor, ``preparing`` for a model that trains on. Other roundings: ``rounding``,
``adaround``. One bit and three values: ``low_bit``. Values where the weights are, not at equal
distances: ``codebook``, and ``sharing`` for a model.
"""

from lwlab.quantize.adaround import learn_rounding
from lwlab.quantize.affine import dequantize, fake_quantize, quantize
from lwlab.quantize.codebook import Codebook, find_codebook
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.granularity import Granularity, PerChannel, PerGroup, PerTensor
from lwlab.quantize.grid import Grid, choose_qparams, quant_range
from lwlab.quantize.observers import (
    Entropy,
    MeanSquared,
    MinMax,
    MovingAverage,
    Observer,
    Percentile,
)
from lwlab.quantize.preparing import current_bits, prepare_, quantized_weights, unprepare_
from lwlab.quantize.rounding import (
    round_nearest,
    round_stochastic,
    round_straight_through,
    stochastic,
)
from lwlab.quantize.sharing import (
    SharedWeights,
    current_codebooks,
    share_weights_,
    unshare_weights_,
)
from lwlab.quantize.tensor import TERNARY, QuantizedTensor, quantize_tensor

__all__ = [
    "TERNARY",
    "Codebook",
    "Entropy",
    "FakeQuantize",
    "Granularity",
    "Grid",
    "MeanSquared",
    "MinMax",
    "MovingAverage",
    "Observer",
    "PerChannel",
    "PerGroup",
    "PerTensor",
    "Percentile",
    "QuantizedTensor",
    "SharedWeights",
    "choose_qparams",
    "current_bits",
    "current_codebooks",
    "dequantize",
    "fake_quantize",
    "find_codebook",
    "learn_rounding",
    "prepare_",
    "quant_range",
    "quantize",
    "quantize_tensor",
    "quantized_weights",
    "round_nearest",
    "round_stochastic",
    "round_straight_through",
    "share_weights_",
    "stochastic",
    "unprepare_",
    "unshare_weights_",
]

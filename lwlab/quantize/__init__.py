"""Quantization: few distinct values, told apart by short codes.

Read ``affine`` (between numbers and codes), then ``grid`` (which scale fits a range),
``granularity`` (which values share one) and ``observers`` (which range to take). ``tensor`` joins
them for one tensor, ``preparing`` for a model that trains on. Other roundings: ``rounding``,
``adaround``. One bit and three values: ``low_bit``. Values where the weights are, not at equal
distances: ``codebook``, and ``sharing`` for a model.

``activations`` quantizes what flows between the layers; ``post_training`` is the whole recipe
without training, made of ``folding``, ``equalizing``, ``layer_rounding`` and ``bias_correction``.
``learning`` trains through the rounding, ``code_length`` with a price on the bits of each code.
``integer`` takes the floats out of the arithmetic. ``mixed`` spends a budget of bytes where it
helps most.
"""

from lwlab.quantize.activations import (
    FakeQuantizeActivation,
    activation_bits,
    prepare_activations,
    quantized_activations,
    trace,
)
from lwlab.quantize.adaround import learn_rounding
from lwlab.quantize.affine import dequantize, fake_quantize, quantize
from lwlab.quantize.bias_correction import BiasCorrection, correct_biases_
from lwlab.quantize.code_length import CodeLength, CodePrices, code_prices
from lwlab.quantize.codebook import Codebook, find_codebook
from lwlab.quantize.equalizing import equalize
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.fake_channels import FakeQuantizeChannels
from lwlab.quantize.folding import fold_batchnorm
from lwlab.quantize.granularity import Granularity, PerChannel, PerGroup, PerTensor
from lwlab.quantize.grid import Grid, choose_qparams, quant_range
from lwlab.quantize.integer import FloatOperation, IntegerModel, convert
from lwlab.quantize.layer_rounding import LayerRounding, round_layers_
from lwlab.quantize.learned_activation import (
    ClipPenalty,
    LearnedClipActivation,
    LearnedStepActivation,
)
from lwlab.quantize.learned_step import LearnedStep, learned_fake_quantize
from lwlab.quantize.learning import learn_clips_, learn_steps_
from lwlab.quantize.mixed import (
    BitPlan,
    BitPoint,
    BitSensitivity,
    LayerBits,
    LayerTrace,
    allocate_bits,
    hessian_trace,
    scan_bits,
    trace_proxy,
)
from lwlab.quantize.observers import (
    Clipped,
    Entropy,
    MeanSquared,
    MinMax,
    MovingAverage,
    Observer,
    Percentile,
)
from lwlab.quantize.post_training import quantize_post_training
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
    "BiasCorrection",
    "BitPlan",
    "BitPoint",
    "BitSensitivity",
    "ClipPenalty",
    "Clipped",
    "CodeLength",
    "CodePrices",
    "Codebook",
    "Entropy",
    "FakeQuantize",
    "FakeQuantizeActivation",
    "FakeQuantizeChannels",
    "FloatOperation",
    "Granularity",
    "Grid",
    "IntegerModel",
    "LayerBits",
    "LayerRounding",
    "LayerTrace",
    "LearnedClipActivation",
    "LearnedStep",
    "LearnedStepActivation",
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
    "activation_bits",
    "allocate_bits",
    "choose_qparams",
    "code_prices",
    "convert",
    "correct_biases_",
    "current_bits",
    "current_codebooks",
    "dequantize",
    "equalize",
    "fake_quantize",
    "find_codebook",
    "fold_batchnorm",
    "hessian_trace",
    "learn_clips_",
    "learn_rounding",
    "learn_steps_",
    "learned_fake_quantize",
    "prepare_",
    "prepare_activations",
    "quant_range",
    "quantize",
    "quantize_post_training",
    "quantize_tensor",
    "quantized_activations",
    "quantized_weights",
    "round_layers_",
    "round_nearest",
    "round_stochastic",
    "round_straight_through",
    "scan_bits",
    "share_weights_",
    "stochastic",
    "trace",
    "trace_proxy",
    "unprepare_",
    "unshare_weights_",
]

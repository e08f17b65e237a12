"""Quantized activations: the graph of a model, and quantizers where tensors are stored as codes.

Read ``tracing`` (from a module to its graph), ``operations`` (what a node does), ``points`` (which
tensors are stored), ``activation`` (one quantizer) and ``preparing``, which joins them.
"""

from lwlab.quantize.activations.activation import FakeQuantizeActivation
from lwlab.quantize.activations.operations import INTEGER_KINDS, kind_of, module_of, tensor_users
from lwlab.quantize.activations.points import Point, find_points
from lwlab.quantize.activations.preparing import (
    activation_bits,
    calibration_inputs,
    prepare_activations,
    quantized_activations,
)
from lwlab.quantize.activations.tracing import trace

__all__ = [
    "INTEGER_KINDS",
    "FakeQuantizeActivation",
    "Point",
    "activation_bits",
    "calibration_inputs",
    "find_points",
    "kind_of",
    "module_of",
    "prepare_activations",
    "quantized_activations",
    "tensor_users",
    "trace",
]

"""Bias correction: take out the part of the error that is the same for all inputs.

Rounding a weight moves the output of its layer by ``(W~ - W) x``. The x behind a ReLU are all of
one sign, so these errors do not average out: each channel is off by ``E[(W~ - W) x]`` on average,
and an offset is what a bias is for:

    bias <- bias - (E[output of the quantized layer] - E[output of the float layer])

The means come from calibration data, layer after layer in the order of computation: the correction
of one changes what the next is fed with.

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.2 and appendix D (the empirical one).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_count, check_finite, check_module
from lwlab.data import Split
from lwlab.models.layers import compressible_layers
from lwlab.quantize.activations.preparing import calibration_inputs
from lwlab.quantize.preparing import current_bits
from lwlab.quantize.watching import quantized_layers, run_watched

__all__ = ["BiasCorrection", "correct_biases_"]


@dataclass(frozen=True, eq=False)
class BiasCorrection:
    """What was changed.

    Attributes:
        shifts: by layer name what was added to its bias, (channels,).
        skipped: quantized layers that have no bias of their own to correct.
    """

    shifts: dict[str, Tensor]
    skipped: tuple[str, ...]


def correct_biases_(
    quantized: nn.Module,
    float_model: nn.Module,
    calibration: Split | Tensor,
    *,
    batch_size: int = 100,
) -> BiasCorrection:
    """Shift the biases of ``quantized`` so that each channel has the mean it has in float.

    Args:
        quantized: a model with prepared weights, its activations quantized or not.
        float_model: the same before it was quantized, after folding and equalizing: its layers
            have the same names. It stays as it is.
        calibration: inputs from the training data, as a ``Split`` or a tensor ``(N, *shape)``.
        batch_size: inputs per forward pass, at the most.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: no weight of ``quantized`` is quantized, ``float_model`` lacks one of these
            layers or is quantized itself, a layer is never called, or the calibration data are
            empty, not finite or of the wrong shape. Nothing was changed.
    """
    inputs = calibration_inputs(calibration)
    batches = inputs.split(check_count("batch_size", batch_size))
    layers = quantized_layers(quantized)
    references = _references(float_model, quantized, layers)
    wanted = _means(float_model, references, batches)
    order = list(_means(quantized, layers, batches))  # of computation, and a check that all runs
    shifts: dict[str, Tensor] = {}
    for name in order:
        if _has_bias(layers[name]):
            [mean] = _means(quantized, {name: layers[name]}, batches).values()
            shifts[name] = _shift_(layers[name].bias, wanted[name] - mean)
    return BiasCorrection(shifts, tuple(name for name in order if name not in shifts))


def _references(
    float_model: nn.Module, quantized: nn.Module, layers: dict[str, nn.Module]
) -> dict[str, nn.Module]:
    check_module("float_model", float_model)
    if current_bits(float_model):
        raise ValueError(
            "float_model must have its weights in float, got quantized ones. Keep a copy from "
            "before prepare_."
        )
    found = {layer.name: layer.module for layer in compressible_layers(float_model)}
    for name, layer in layers.items():
        if name not in found or found[name].weight.shape != layer.weight.shape:
            raise ValueError(
                f"float_model must have the layers of quantized, got one without a layer {name!r} "
                f"of the same shape. Take the model that was prepared."
            )
    return {name: found[name] for name in layers}


def _has_bias(layer: nn.Module) -> bool:
    return layer.bias is not None and not parametrize.is_parametrized(layer, "bias")


@torch.no_grad()
def _shift_(bias: Tensor, shift: Tensor) -> Tensor:
    shift = shift.to(bias.dtype)
    bias += shift
    return shift


def _means(
    model: nn.Module, layers: dict[str, nn.Module], batches: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    """Return the mean output per channel, float64, of each layer, in the order of computation."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def look(name: str, layer: nn.Module, _: Tensor, output: Tensor) -> None:
        # A linear layer has its features last; a convolution has its positions behind the channels.
        positions = 0 if isinstance(layer, nn.Linear) else layer.weight.dim() - 2
        rows = output.movedim(output.dim() - 1 - positions, 0).flatten(1)
        sums[name] = sums.get(name, 0) + rows.sum(dim=1, dtype=torch.float64)
        counts[name] = counts.get(name, 0) + rows.shape[1]

    run_watched(model, layers, look, batches)
    return {
        name: check_finite(f"mean output of layer {name!r}", total / counts[name])
        for name, total in sums.items()
    }

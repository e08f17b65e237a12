"""Post-training quantization: from a trained model to a quantized one, without training.

The recipe in its order; each step is a function of its own to look into:

    fold_batchnorm         fewer operations, fewer roundings
    equalize               even ranges over channels, for one scale per layer
    prepare_               the grid of each weight
    round_layers_          up or down, by the outputs of the layer
    prepare_activations    the grid of each stored activation, for these weights
    correct_biases_        the mean error of each channel goes into its bias

Source: Nagel et al. 2021, "A white paper on neural network quantization", arXiv:2106.08295,
section 3 and figure 3.6.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, fx, nn

from lwlab.checks import check_choice
from lwlab.data import Split
from lwlab.quantize.activations.preparing import calibration_inputs, prepare_activations
from lwlab.quantize.bias_correction import correct_biases_
from lwlab.quantize.equalizing import equalize
from lwlab.quantize.folding import fold_batchnorm
from lwlab.quantize.granularity import Granularity
from lwlab.quantize.layer_rounding import round_layers_
from lwlab.quantize.observers import Observer
from lwlab.quantize.preparing import prepare_

__all__ = ["quantize_post_training"]

_ROUNDINGS = ("nearest", "adaptive")


def quantize_post_training(
    model: nn.Module,
    calibration: Split | Tensor,
    *,
    num_bits: int | str | Mapping[str, int | str | None] = 8,
    activation_bits: int | Mapping[str, int] | None = 8,
    granularity: Granularity | None = None,
    range_rule: Observer | None = None,
    activation_rule: Observer | None = None,
    equalized: bool = False,
    corrected: bool = False,
    rounding: str = "nearest",
    rounding_steps: int = 500,
    seed: int = 0,
) -> fx.GraphModule:
    """Return a quantized copy of ``model``; ``model`` stays as it is.

    Args:
        model: a trained model that can be traced.
        calibration: some hundred inputs from the training data, a ``Split`` or a tensor.
        num_bits: of the weights, as for ``prepare_``.
        activation_bits: of the activations, as for ``prepare_activations``; None: float.
        granularity: of the weights; ``PerChannel()`` if None.
        range_rule: of the weights; ``MinMax()`` if None. With few bits ``MeanSquared()`` is better.
        activation_rule: of the activations; ``MinMax()`` if None.
        equalized: even out the channels; helps where one scale serves a whole layer.
        corrected: correct the biases; helps with few bits.
        rounding: ``"nearest"``, or ``"adaptive"``: learned (AdaRound); helps with few bits.
        rounding_steps: of the learning, per layer.
        seed: of the learning.

    Returns:
        A traced model, prepared: it can be scored, trained on, packed and converted.

    Raises:
        TypeError, ValueError: as the functions above.
    """
    check_choice("rounding", rounding, _ROUNDINGS)
    inputs = calibration_inputs(calibration)
    flat = fold_batchnorm(model)
    if equalized:
        flat = equalize(flat)
    quantized = copy.deepcopy(flat)
    prepare_(quantized, num_bits=num_bits, granularity=granularity, range_rule=range_rule)
    if rounding == "adaptive":
        round_layers_(quantized, inputs, steps=rounding_steps, seed=seed)
    if activation_bits is not None:
        quantized = prepare_activations(
            quantized, inputs, num_bits=activation_bits, range_rule=activation_rule
        )
    if corrected:
        correct_biases_(quantized, flat, inputs)
    return quantized

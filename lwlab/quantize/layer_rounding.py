"""AdaRound for a whole model: learn the rounding of each layer, one after the other.

``adaround`` asks for each weight of a layer whether up or down changes the layer's outputs least.
Here each layer gets the inputs that it has in the quantized model, where the layers before it are
rounded already: what they could not avoid is part of the question.

Source: Nagel et al. 2020, arXiv:2004.10568, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.checks import check_count, check_finite
from lwlab.data import Split
from lwlab.quantize.activations.preparing import calibration_inputs
from lwlab.quantize.adaround import learn_rounding
from lwlab.quantize.affine import dequantize
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.stacking import top_of, weight_below
from lwlab.quantize.watching import quantized_layers, run_watched

__all__ = ["LayerRounding", "round_layers_"]


@dataclass(frozen=True)
class LayerRounding:
    """What was changed.

    Attributes:
        changed: by layer name the fraction of its codes that differ from nearest, in [0, 1].
        skipped: quantized layers whose codes follow another rule: binary, ternary, several widths
            in one layer, learned steps.
    """

    changed: dict[str, float]
    skipped: tuple[str, ...]


def round_layers_(
    model: nn.Module,
    calibration: Split | Tensor,
    *,
    steps: int = 500,
    batch_size: int = 32,
    seed: int = 0,
) -> LayerRounding:
    """Learn the rounding of all prepared layers, so that ``quantized_weights`` gives these codes.

    The scales stay. The stored weights move onto the grid, each to the code that was learned, so
    that training goes on from there; what they were before is gone. Pruned weights stay 0.

    Args:
        model: a model with prepared weights. Its activations better be in float still.
        calibration: inputs from the training data, a few hundred; a ``Split`` or a tensor.
        steps: of Adam, per layer.
        batch_size: inputs per step and per forward pass.
        seed: of the batches.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: no weight is quantized, a layer is never called, the calibration data are
            empty, not finite or of the wrong shape, or a setting is out of range. Nothing was
            changed.
    """
    inputs = calibration_inputs(calibration)
    batches = inputs.split(check_count("batch_size", batch_size))
    settings = {"steps": check_count("steps", steps), "batch_size": batch_size}
    settings["seed"] = check_count("seed", seed, minimum=0)
    layers = quantized_layers(model)
    order = _order(model, layers, batches)
    changed: dict[str, float] = {}
    for name in order:
        if type(top_of(layers[name], FakeQuantize)) is FakeQuantize:
            changed[name] = _round_(
                layers[name], _inputs_of(model, layers[name], batches), settings
            )
    return LayerRounding(changed, tuple(name for name in order if name not in changed))


def _order(model: nn.Module, layers: dict[str, nn.Module], batches: tuple) -> list[str]:
    """Return the names of the layers in the order in which they are called."""
    called: dict[str, None] = {}

    def look(name: str, _: nn.Module, given: Tensor, output: Tensor) -> None:
        check_finite(f"input of layer {name!r}", given)
        called.setdefault(name)

    run_watched(model, layers, look, batches)
    return list(called)


def _inputs_of(model: nn.Module, layer: nn.Module, batches: tuple[Tensor, ...]) -> Tensor:
    """Return all that ``layer`` is fed with; of a layer that is called twice, both in turn."""
    seen: list[Tensor] = []
    run_watched(model, {"layer": layer}, lambda _n, _l, given, _o: seen.append(given), batches)
    return torch.cat(seen).clone()


def _round_(layer: nn.Module, inputs: Tensor, settings: dict[str, int]) -> float:
    """Learn the rounding of one layer; return the fraction of codes that changed."""
    fake = top_of(layer, FakeQuantize)
    weight = weight_below(layer, FakeQuantize)
    nearest = fake.quantized(weight).codes
    scale = fake.granularity.spread(fake.scale, weight.shape)
    zero_point = fake.granularity.spread(fake.zero_point, weight.shape)
    # Exact zeros, as pruning leaves them, have no effect however they are rounded: nothing pulls
    # them up from where they start, and they stay 0.
    kept, compute = weight != 0, _function_of(layer)
    codes = learn_rounding(
        weight,
        inputs,
        lambda x, w: compute(x, torch.where(kept, w, 0)),
        scale=scale,
        zero_point=zero_point,
        quant_min=fake.quant_min,
        quant_max=fake.quant_max,
        **settings,
    )
    with torch.no_grad():
        layer.weight = dequantize(codes, scale, zero_point).to(weight.dtype)
    return float((codes != nearest).double().mean())


def _function_of(layer: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Return ``(inputs, weight) -> outputs`` of a convolution or linear layer, without its bias."""
    if isinstance(layer, nn.Linear):
        return F.linear
    return lambda inputs, weight: layer._conv_forward(inputs, weight, None)

"""The Hessian trace: how sharply the loss curves around the weights of each layer.

At a minimum of the loss L, moving the weights of a layer by d changes it by about d' H d / 2, with
H the Hessian of that layer. Averaged over the direction of d that is |d|^2 trace(H) / (2 n): a
layer with a large trace per weight cannot stand a large rounding error. HAWQ-V2 ranks layers and
widths by

    proxy(layer, bits) = trace(H) / n * |Q(w) - w|^2          n weights, Q quantizes to ``bits``

without one forward pass of a quantized model. The trace needs no Hessian either (Hutchinson):

    trace(H) = mean over probes v of  v' H v                  each v_i is -1 or 1 by a fair coin

and H v is the gradient of (gradient of L)' v, two backward passes. Each layer has probes of its
own. One that reaches over all layers has the same mean and is cheaper, but carries the curvature
between layers as noise, which drowns a layer of little curvature beside one of much.

It is a proxy. The gradient of a trained network is not quite 0, the direction of rounding is no
coin, and at 2 bits the error is too large for a second-order formula. ``scan_bits`` measures.

Source: Dong et al. 2020, "HAWQ-V2: Hessian aware trace-weighted quantization of neural networks",
arXiv:1911.03852; Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.checks import check_count, check_finite
from lwlab.data import Split
from lwlab.measure.evaluating import forward
from lwlab.measure.latency import folded
from lwlab.measure.predicting import check_split
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.granularity import Granularity, PerChannel
from lwlab.quantize.mixed.modules import layer_module
from lwlab.quantize.mixed.sensitivity_table import check_widths
from lwlab.quantize.observers import Observer
from lwlab.quantize.stacking import weight_below
from lwlab.quantize.targets import select_layers
from lwlab.quantize.tensor import quantize_tensor

__all__ = ["LayerTrace", "hessian_trace", "trace_proxy"]

_BATCH_SIZE = 250


@dataclass(frozen=True)
class LayerTrace:
    """The trace of the Hessian of one layer, estimated.

    Attributes:
        trace: the mean over the probes; units of the loss per squared weight.
        standard_error: of that mean, from the spread of the probes; NaN for a single probe.
        weights: n, how many weights the layer has.
    """

    trace: float
    standard_error: float
    weights: int

    @property
    def mean_curvature(self) -> float:
        """``trace / n``: the second derivative of the loss by one weight, on average."""
        return self.trace / self.weights


def hessian_trace(
    model: nn.Module,
    split: Split,
    *,
    seed: int = 0,
    probes: int = 20,
    layers: Iterable[str] | None = None,
) -> dict[str, LayerTrace]:
    """Estimate the trace of the Hessian of the mean cross-entropy, by layer name.

    The model runs in evaluation mode, on the weights as its forward pass sees them, and is left as
    it is; a quantized model gives the Hessian at its quantized weights. The same seed gives the
    same probes.

    Args:
        model: takes inputs ``(B, ...)``, returns logits ``(B, classes)``, and can be differentiated
            twice.
        split: examples of the loss; a few hundred are enough, and each probe of each layer costs a
            few forward passes over them.
        seed: of the probes.
        probes: how many; the error falls as 1 / sqrt(probes).
        layers: names of layers; None takes all convolutions and linear layers.

    Raises:
        TypeError, ValueError: an argument has the wrong type; a layer does not exist; the split is
            empty or does not fit the model; a second derivative is not finite.
    """
    names = select_layers(model, layers)
    check_split(split)
    probes = check_count("probes", probes)
    generator = torch.Generator().manual_seed(check_count("seed", seed, minimum=0))
    with torch.inference_mode(False), torch.enable_grad():
        plain, weights = _plain_copy(model, names)
        signs = [_random_signs(weights, generator) for _ in range(probes)]
        found = _quadratic_forms(plain, split, weights, signs)
    return {
        name: _estimate(found[:, index], weight.numel())
        for index, (name, weight) in enumerate(zip(names, weights, strict=True))
    }


def trace_proxy(
    model: nn.Module,
    traces: Mapping[str, LayerTrace],
    *,
    bits: Iterable[int],
    granularity: Granularity | None = None,
    range_rule: Observer | None = None,
    symmetric: bool = True,
) -> dict[str, dict[int, float]]:
    """Return ``trace / n * |Q(w) - w|^2`` for each layer and width: HAWQ-V2's sensitivity.

    Args:
        model: what the traces are of; left as it is.
        traces: from ``hessian_trace``.
        bits: widths from 1 to 8, rising.
        granularity: as in ``prepare_``; ``PerChannel()`` if None.
        range_rule: as in ``prepare_``; ``MinMax()`` if None.
        symmetric: as in ``prepare_``.

    Raises:
        TypeError, ValueError: as for ``select_layers`` and ``quantize_tensor``.
    """
    widths = check_widths(bits)
    granularity = PerChannel() if granularity is None else granularity
    settings = {"symmetric": symmetric, "range_rule": range_rule}
    proxies = {}
    for name in select_layers(model, traces):
        weight = weight_below(layer_module(model, name), FakeQuantize)
        proxies[name] = {}
        for width in widths:
            rounded = quantize_tensor(weight, width, granularity, **settings).dequantize()
            error = float((rounded.double() - weight.double()).square().sum())
            proxies[name][width] = traces[name].mean_curvature * error
    return proxies


def _plain_copy(model: nn.Module, names: list[str]) -> tuple[nn.Module, list[Tensor]]:
    """Return a copy in evaluation mode that wants gradients of the weights of layers only."""
    plain = folded(model)
    plain = copy.deepcopy(model) if plain is model else plain
    for module in plain.modules():
        module.training = False
    plain.requires_grad_(False)
    weights = [layer_module(plain, name).weight for name in names]
    for weight in weights:
        weight.requires_grad_(True)
    return plain, weights


def _random_signs(weights: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    return [
        (torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1).to(weight)
        for weight in weights
    ]


def _quadratic_forms(
    model: nn.Module, split: Split, weights: list[Tensor], probes: list[list[Tensor]]
) -> Tensor:
    """Return ``v' H v`` of each probe and layer: (probes, layers), float64."""
    found = torch.zeros(len(probes), len(weights), dtype=torch.float64)
    for indices in _batches(len(split)):
        logits = forward(model, split.inputs[indices])
        loss = F.cross_entropy(logits, split.targets[indices])
        share = len(indices) / len(split)
        gradients = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        for row, signs in enumerate(probes):
            for column, parts in enumerate(zip(gradients, weights, signs, strict=True)):
                found[row, column] += share * _quadratic_form(*parts)
    return check_finite("second derivative of the loss", found)


def _quadratic_form(gradient: Tensor, weight: Tensor, signs: Tensor) -> float:
    """Return ``v' H v`` of one layer, from a gradient that still has its graph."""
    slope = (gradient * signs).sum()
    if not slope.requires_grad:  # the loss is linear in the weight, or does not depend on it
        return 0.0
    [product] = torch.autograd.grad(slope, [weight], retain_graph=True, materialize_grads=True)
    return float((product.double() * signs).sum())


def _batches(count: int) -> Iterator[Tensor]:
    yield from torch.arange(count).tensor_split(math.ceil(count / _BATCH_SIZE))


def _estimate(samples: Tensor, weights: int) -> LayerTrace:
    spread = float(samples.std()) if len(samples) > 1 else math.nan
    return LayerTrace(float(samples.mean()), spread / math.sqrt(len(samples)), weights)

"""Layers: quantizers for each layer of a network, found once for each setting of it."""

from __future__ import annotations

import copy
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lwlab.labs.quantize.layer_view import LayerView, view_of
from lwlab.labs.quantize.params import QuantizeParams
from lwlab.labs.quantize.settings import LayerSetting, setting_of
from lwlab.models import compressible_layers
from lwlab.quantize import (
    FakeQuantize,
    current_bits,
    fake_quantize,
    prepare_,
    stochastic,
    unprepare_,
)
from lwlab.quantize.fake import make_fake
from lwlab.quantize.stacking import put_on_top_

__all__ = ["STOCHASTIC_SEED", "LayerNoise", "Quantizers", "decibels"]

STOCHASTIC_SEED = 0
_REMEMBERED = 400  # scales of one layer at one setting: a few kB each


@dataclass(frozen=True)
class LayerNoise:
    """One layer at one setting, and what the rounding costs it.

    Attributes:
        setting: how it is quantized.
        decibels: signal to noise, see ``decibels``; infinite in float.
        scales: how many there are; 0 in float.
    """

    setting: LayerSetting
    decibels: float
    scales: int


class Quantizers:
    """Quantizes copies of a network; a scale is found anew only where the setting is new.

    Args:
        model: the network; quantizers that it brings are taken off a copy.

    Attributes:
        model: that copy, in float.
        came_prepared: whether it brought quantizers.
        weights: of each compressible layer by name, as a quantizer sees them.

    Raises:
        ValueError: there is no layer to quantize, or one cannot be.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model)
        self.came_prepared = bool(current_bits(self.model))
        unprepare_(self.model)
        prepare_(copy.deepcopy(self.model), num_bits=8)  # whatever it would refuse is refused now
        self.weights = {
            layer.name: layer.weight.detach().clone() for layer in compressible_layers(self.model)
        }
        self._asking = threading.Lock()
        self._known: OrderedDict[tuple[str, LayerSetting], _Found] = OrderedDict()

    def settings(self, params: QuantizeParams) -> dict[str, LayerSetting]:
        """Return how each layer is quantized by its name."""
        return {name: setting_of(params, name, w) for name, w in self.weights.items()}

    def quantized(self, params: QuantizeParams) -> nn.Module:
        """Return a copy of the network, prepared."""
        network = copy.deepcopy(self.model)
        modules = {layer.name: layer.module for layer in compressible_layers(network)}
        for name, setting in self.settings(params).items():
            found = self._find(name, setting)
            if found.fake is None:
                continue
            put_on_top_(modules[name], copy.deepcopy(found.fake), FakeQuantize)
            if found.rounded is not None:
                modules[name].weight = found.rounded.clone()
        return network

    def noise(self, params: QuantizeParams) -> dict[str, LayerNoise]:
        """Return what rounding the weights costs each layer, by its name."""
        return {name: self._find(name, s).noise for name, s in self.settings(params).items()}

    def view(self, params: QuantizeParams, layer: str) -> LayerView:
        """Return the grid of one layer."""
        setting = setting_of(params, layer, self.weights[layer])
        found = self._find(layer, setting)
        if found.view is None:
            found.view = view_of(layer, self.weights[layer], found.fake, setting)
        return found.view

    def forget(self) -> None:
        """Drop everything that is remembered, so that a benchmark sees what it costs to find."""
        with self._asking:
            self._known.clear()

    def _find(self, name: str, setting: LayerSetting) -> _Found:
        """Return what is known of a layer at a setting; find it where it is new."""
        key = (name, setting)
        # The worker asks, and whoever calls for the network on screen.
        with self._asking:
            if key not in self._known:
                self._known[key] = _find(self.weights[name], setting)
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


@dataclass
class _Found:
    """What is remembered of a layer at a setting.

    Attributes:
        fake: the quantizer; None in float.
        rounded: weights on the grid, where they were not rounded to the nearest code.
        noise: what it costs.
        view: the grid, once it was asked for.
    """

    fake: FakeQuantize | None
    rounded: Tensor | None
    noise: LayerNoise
    view: LayerView | None = None


@torch.no_grad()
def _find(weight: Tensor, setting: LayerSetting) -> _Found:
    if setting.num_bits is None:
        return _Found(None, None, LayerNoise(setting, math.inf, 0))
    fake = make_fake(
        weight,
        setting.num_bits,
        symmetric=setting.symmetric,
        granularity=setting.granularity,
        range_rule=setting.observer(),
    )
    quantized, rounded = fake.quantized(weight), None
    if setting.rounding == "stochastic":
        rounded = fake_quantize(
            weight,
            quantized.granularity.spread(quantized.scale, weight.shape),
            quantized.granularity.spread(quantized.zero_point, weight.shape),
            quant_min=quantized.quant_min,
            quant_max=quantized.quant_max,
            rounding=stochastic(STOCHASTIC_SEED),
        )
    values = quantized.dequantize() if rounded is None else rounded
    noise = LayerNoise(setting, decibels(weight, values), quantized.scale.numel())
    return _Found(fake, rounded, noise)


def decibels(weight: Tensor, approximated: Tensor) -> float:
    """Return the signal to noise ratio ``10 log10(sum w^2 / sum (w - w~)^2)``.

    Six of them are one bit: half the error. Infinite where both are equal.
    """
    noise = float((weight.double() - approximated.double()).square().sum())
    if noise == 0:
        return math.inf
    signal = float(weight.double().square().sum())
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf

"""What each layer, and each output channel of it, costs at each width: loss and bytes.

Bytes are measured: the layer is quantized and its file written. Where all channels have as many
weights, each takes its share of them.

The loss of a layer at a width is the divergence that the scan measured, or that of a wider width of
the same layer if that is larger: a narrower one that scores better by chance is not better. For a
channel c nothing was measured. It gets a share of its layer's loss, by its squared rounding error:

    loss(c, bits) = loss(layer, bits) * |Q(w_c) - w_c|^2 / |Q(w) - w|^2

This takes the loss to curve alike in all weights of a layer, as the Hessian trace does.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lwlab.measure import packed_bytes
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.mixed.knapsack import Option
from lwlab.quantize.mixed.modules import layer_module
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity
from lwlab.quantize.preparing import prepare_, quantized_weights
from lwlab.quantize.stacking import weight_below

__all__ = ["LayerCosts", "layer_costs"]


@dataclass(frozen=True, eq=False)
class LayerCosts:
    """What one layer costs.

    Attributes:
        layer: its name.
        weights: how many it has.
        bits: the widths that can be chosen, rising.
        losses: of the whole layer, one a width, never rising with it.
        sizes: bytes of the file of the layer alone, one a width.
        shares: (widths, channels), the part of the layer's loss that a channel has; each row sums
            to 1.
    """

    layer: str
    weights: int
    bits: tuple[int, ...]
    losses: tuple[float, ...]
    sizes: tuple[int, ...]
    shares: Tensor

    @property
    def channels(self) -> int:
        """How many output channels the layer has."""
        return self.shares.shape[1]

    def of_layer(self) -> list[Option]:
        """Return the option of each width for the layer as a whole."""
        return [Option(*pair) for pair in zip(self.losses, self.sizes, strict=True)]

    def of_channels(self, allowed: Sequence[int]) -> list[list[Option]]:
        """Return the options of each channel, one for each width of ``allowed``."""
        rows = [self.bits.index(width) for width in allowed]
        shares = self.shares.tolist()
        return [
            [
                Option(self.losses[row] * shares[row][channel], self.sizes[row] / self.channels)
                for row in rows
            ]
            for channel in range(self.channels)
        ]


def layer_costs(sensitivity: BitSensitivity, model: nn.Module, settings: dict) -> list[LayerCosts]:
    """Return the costs of each scanned layer, in the order of the scan.

    Args:
        sensitivity: a scan of ``model``.
        model: is left as it is.
        settings: of ``prepare_``, as in the scan.

    Raises:
        ValueError: a layer has no measured point.
    """
    trial = copy.deepcopy(model)
    return [_costs_of(sensitivity, trial, name, settings) for name in sensitivity.layers]


def _costs_of(
    sensitivity: BitSensitivity, trial: nn.Module, name: str, settings: dict
) -> LayerCosts:
    losses = _losses(sensitivity, name)
    if not losses:
        raise ValueError(
            f"sensitivity must hold a point of each layer, got none of {name!r}. Let the scan go "
            f"on."
        )
    module = layer_module(trial, name)
    weight = weight_below(module, FakeQuantize)
    sizes, shares = [], []
    for width in losses:
        prepare_(trial, num_bits={name: width}, **settings)
        sizes.append(packed_bytes(module))
        shares.append(_shares(weight, quantized_weights(trial)[name].dequantize()))
    found = tuple(losses), tuple(losses.values()), tuple(sizes)
    return LayerCosts(name, weight.numel(), *found, torch.stack(shares))


def _losses(sensitivity: BitSensitivity, name: str) -> dict[int, float]:
    """Return the loss of each measured width, rising widths, never rising losses."""
    found, worst = {}, 0.0
    for width in reversed(sensitivity.bits):
        point = sensitivity.point_at(name, width)
        if point is not None:
            worst = max(worst, point.divergence)
            found[width] = worst
    return dict(reversed(found.items()))


def _shares(weight: Tensor, rounded: Tensor) -> Tensor:
    """Return the squared error of each channel over that of all, float64."""
    errors = (rounded.double() - weight.double()).square().flatten(1).sum(dim=1)
    total = float(errors.sum())
    return errors / total if total else errors.new_full(errors.shape, 1 / len(errors))

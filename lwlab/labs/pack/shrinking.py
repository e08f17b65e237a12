"""From the parameters of PackLab to a pruned and quantized copy of its model."""

from __future__ import annotations

import copy
from collections import OrderedDict

from torch import nn

from lwlab import prune, quantize
from lwlab.labs.pack.params import CODEBOOK, HALF, PackParams
from lwlab.models import compressible_layers, layer_names
from lwlab.packing.halving import halve_
from lwlab.quantize import Granularity

__all__ = ["Shrinker"]

_REMEMBERED = 24  # copies of the network


class Shrinker:
    """Prunes and quantizes copies of ``model``, which is left alone.

    Args:
        model: the network in float.

    Raises:
        ValueError: there is no layer to quantize, or one cannot be.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._known: OrderedDict[tuple[object, ...], nn.Module] = OrderedDict()
        quantize.prepare_(copy.deepcopy(model), num_bits=8)  # what it would refuse is refused now

    def shrunk(self, params: PackParams) -> nn.Module:
        """Return the network of a setting; it is remembered, so leave it as it is."""
        key = params.weights
        if key not in self._known:
            self._known[key] = self._shrink(params)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def scales(self, params: PackParams) -> dict[Granularity, list[str]]:
        """Return the layers of each granularity: what one call prepares."""
        found: dict[Granularity, list[str]] = {}
        for layer in compressible_layers(self._model):
            found.setdefault(params.scales(tuple(layer.weight.shape)), []).append(layer.name)
        return found

    def forget(self) -> None:
        """Drop what is remembered, so that a benchmark sees what it costs to make."""
        self._known.clear()

    def _shrink(self, params: PackParams) -> nn.Module:
        network = copy.deepcopy(self._model)
        if params.sparsity > 0:
            prune.mask_model_(network, sparsity=params.sparsity, scope="global")
        if params.num_bits == CODEBOOK:
            quantize.share_weights_(network, num_clusters=params.codebook_size)
        elif params.has_scales:
            for granularity, layers in self.scales(params).items():
                quantize.prepare_(
                    network, num_bits=params.num_bits, granularity=granularity, layers=layers
                )
        elif params.num_bits == HALF:
            prune.bake_(network)  # a weight behind a mask is computed, and cannot be rounded
            halve_(network, tensors=[f"{name}.weight" for name in layer_names(network)])
        if params.halved != "none":
            halve_(network, tensors=params.halved)
        return network

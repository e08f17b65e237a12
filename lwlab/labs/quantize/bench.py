"""Everything that QuantizeLab computes: networks quantized and measured; no widget in sight."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from torch import nn

from lwlab.data import Dataset
from lwlab.labs.contract import Part
from lwlab.labs.estimate import estimate_label
from lwlab.labs.quantize.layers import Quantizers
from lwlab.labs.quantize.measuring import Meter
from lwlab.labs.quantize.params import FLOAT, QuantizeParams
from lwlab.labs.quantize.result import QuantizeResult
from lwlab.labs.quantize.scanning import BitScans, scan_key
from lwlab.quantize.activations.preparing import prepare_activations

__all__ = ["CALIBRATION_EXAMPLES", "Bench"]

CALIBRATION_EXAMPLES = 256


class Bench:
    """Quantizes and measures copies of ``model``.

    ``parts`` runs in the worker's thread; what a button starts or drops is set from others.

    Args:
        model: the network.
        dataset: of the lab.

    Attributes:
        quantizers: of this network.
        scans: of this network.
        baseline: what was measured in float.
    """

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        self._dataset = dataset
        self.quantizers = Quantizers(model)
        self.scans = BitScans(self.quantizers.model, dataset.validation)
        self._meter = Meter(self.quantizers.model, dataset)
        *_, self.baseline = self._measured(QuantizeParams(num_bits=FLOAT))

    @property
    def layers(self) -> list[str]:
        """Names of the layers that are quantized."""
        return list(self.quantizers.weights)

    @property
    def largest_layer(self) -> str:
        """Name of the layer with the most weights."""
        weights = self.quantizers.weights
        return max(weights, key=lambda name: weights[name].numel())

    def network(self, params: QuantizeParams) -> nn.Module:
        """Return the network of a setting, prepared: a new copy.

        Raises:
            ValueError: the activations are to be quantized, and the network cannot be traced.
        """
        network = self.quantizers.quantized(params)
        if params.activations == FLOAT:
            return network
        calibration = self._dataset.train.take(CALIBRATION_EXAMPLES)
        return prepare_activations(network, calibration, num_bits=params.activations)

    def running(self, params: QuantizeParams) -> bool:
        """Whether something of this setting takes long at this moment."""
        return self.scans.running(scan_key(params))

    def parts(
        self, params: QuantizeParams, outdated: Callable[[], bool]
    ) -> Iterator[Part[QuantizeResult]]:
        """Yield the network of a setting, measured in parts; then go on with a scan that runs."""
        key = scan_key(params)
        scan = self.scans.of(key)
        for measured in self._measured(params):
            result = dataclasses.replace(measured, sensitivity=self.scans.newest(key))
            yield Part(result, estimate_label(result.accuracy, self._dataset.validation))
        if scan is not None and scan.running:
            for table in scan.pictures(outdated):
                text = f"Measuring the sensitivity: {table.done} of {table.total}."
                yield Part(dataclasses.replace(result, sensitivity=table), text)
            yield Part(dataclasses.replace(result, sensitivity=scan.newest))

    def _measured(self, params: QuantizeParams) -> Iterator[QuantizeResult]:
        layer = params.layer or self.largest_layer
        return self._meter.results(
            self.network(params),
            show=params.show,
            layers=self.quantizers.noise(params),
            view=self.quantizers.view(params, layer),
        )

"""What QuantizeLab measures at one setting."""

from __future__ import annotations

from dataclasses import dataclass

from lwlab import measure, packing
from lwlab.labs.damage import Damage
from lwlab.labs.quantize.layer_view import LayerView
from lwlab.labs.quantize.layers import LayerNoise
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity

__all__ = ["QuantizeResult"]


@dataclass(frozen=True)
class QuantizeResult:
    """What was measured at one setting, of the network on screen.

    Attributes:
        accuracy: on the validation split, or on a part of it while the rest is coming.
        breakdown: every byte of the packed file.
        layers: how each layer is quantized, and its signal to noise, by its name.
        view: the grid of the layer that is shown.
        test_accuracy: on the test split, if it was asked for at this setting.
        damage: which classes and examples suffer, if they are shown.
        sensitivity: the scan layer by layer for these scales, as far as it was measured.
    """

    accuracy: measure.Accuracy
    breakdown: packing.Breakdown
    layers: dict[str, LayerNoise]
    view: LayerView
    test_accuracy: measure.Accuracy | None = None
    damage: Damage | None = None
    sensitivity: BitSensitivity | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return self.breakdown.total

"""The desk of QuantizeLab: a width for each layer beside what that layer bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lwlab.labs.desk import LayerDesk, Measured, byte_meter, strip
from lwlab.labs.layer_choices import LayerChoices
from lwlab.labs.quantize.params import FLOAT, WIDTHS, Width
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity
from lwlab.units import format_points

if TYPE_CHECKING:
    from lwlab.labs.quantize.params import QuantizeParams
    from lwlab.labs.quantize.result import QuantizeResult

__all__ = ["Desk", "width_text"]


def width_text(width: Width) -> str:
    """Return a width as a learner reads it: ``4 bits``, ``1 bit``, ``ternary``, ``float``."""
    if isinstance(width, str):
        return width
    return f"{width} bit{'s' if width > 1 else ''}"


class Desk(LayerDesk["QuantizeParams", "QuantizeResult"]):
    """The widgets of the fold "Layer by layer".

    Args:
        layers: number of weights by the name of each layer.
        chosen: first width of some of them; the others stand at float.
        budget: first value of the budget, a share of the file in float.
        baseline: what was measured in float.

    Raises:
        ValueError: ``chosen`` names no layer, or a width that a slider cannot stand at.
    """

    def __init__(
        self,
        layers: Mapping[str, int],
        chosen: Mapping[str, Width],
        budget: float,
        baseline: QuantizeResult,
    ) -> None:
        self._baseline, self._weights = baseline, sum(layers.values())
        choices = LayerChoices(list(layers), WIDTHS, what="num_bits", shown=width_text)
        choices.value = dict.fromkeys(layers, FLOAT)
        super().__init__(
            choices,
            chosen,
            budget,
            measuring="Quantize each layer alone, and measure the accuracy",
            filling="Choose the widths by the measured sensitivity",
        )

    def strips(self, params: QuantizeParams, result: QuantizeResult) -> dict[str, str]:
        """Return the sensitivity beside each slider."""
        return {
            name: _strip(result.sensitivity, name, params.layer_bits.get(name, FLOAT))
            for name in self.choices.value
        }

    def meter(self, params: QuantizeParams, result: QuantizeResult) -> str:
        """Return the file against the budget, and the bits a weight has in it."""
        before = self._baseline.size_bytes
        more = f"{8 * result.size_bytes / self._weights:.2f} bits in the file for each weight"
        return byte_meter(result.size_bytes, before, params.budget * before, more)


def _strip(table: BitSensitivity | None, name: str, chosen: Width) -> str:
    if table is None or name not in table.layers:
        return strip(name, (), 1.0, "")
    columns = [
        Measured(width_text(bits), table.drop_at(name, bits), bits == chosen) for bits in table.bits
    ]
    if chosen == FLOAT:
        words = "in float"
    elif chosen not in table.bits:
        words = f"{width_text(chosen)}: not measured"
    else:
        drop = table.drop_at(name, chosen)
        words = "..." if drop is None else f"{format_points(0 - drop)} alone"
    return strip(name, columns, table.baseline.value, words)

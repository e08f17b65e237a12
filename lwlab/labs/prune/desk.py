"""The desk of PruneLab: a sparsity for each layer beside what that layer bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lwlab.labs.desk import LayerDesk, Measured, byte_meter, strip
from lwlab.labs.layer_choices import LayerChoices
from lwlab.prune.sensitivity import SPARSITIES, Sensitivity
from lwlab.units import format_count, format_percent, format_points

if TYPE_CHECKING:
    from lwlab.labs.prune.params import PruneParams
    from lwlab.labs.prune.result import PruneResult

__all__ = ["Desk"]


class Desk(LayerDesk["PruneParams", "PruneResult"]):
    """The widgets of the fold "Layer by layer".

    Args:
        layers: names of the compressible layers.
        chosen: first sparsity of some of them.
        budget: first value of the budget, a share of the file before.
        baseline: what was measured before pruning.

    Raises:
        ValueError: ``chosen`` names no layer, or a sparsity that a slider cannot stand at.
    """

    def __init__(
        self, layers: list[str], chosen: Mapping[str, float], budget: float, baseline: PruneResult
    ) -> None:
        self._baseline = baseline
        super().__init__(
            LayerChoices(layers, (0.0, *SPARSITIES)),
            chosen,
            budget,
            measuring="Prune each layer alone, and measure the accuracy",
            filling="Choose the sparsities by the measured sensitivity",
        )

    def strips(self, params: PruneParams, result: PruneResult) -> dict[str, str]:
        """Return the sensitivity beside each slider."""
        return {
            name: _strip(result.sensitivity, name, params.layer_sparsities.get(name, 0.0))
            for name in self.choices.value
        }

    def meter(self, params: PruneParams, result: PruneResult) -> str:
        """Return the file against the budget, and the weights that are kept."""
        before = self._baseline.size_bytes
        kept = sum(int(mask.sum()) for mask in result.masks.values())
        total = sum(mask.numel() for mask in result.masks.values())
        more = (
            f"weights kept {format_count(kept)} of {format_count(total)} "
            f"({format_percent(kept / total)})"
        )
        return byte_meter(result.size_bytes, before, params.budget * before, more)


def _strip(table: Sensitivity | None, name: str, chosen: float) -> str:
    if table is None or name not in table.layers:
        return strip(name, (), 1.0, "")
    columns = [
        Measured(f"{100 * s:g} % pruned", table.drop_at(name, s), s == chosen)
        for s in table.sparsities
    ]
    drop = table.drop_at(name, chosen)
    words = "..." if drop is None else f"{format_points(0 - drop)} alone"
    words = "not pruned" if chosen == 0 else words
    return strip(name, columns, table.baseline.value, words)

"""A copy of a model on which widths are tried: how long the file is, how many answers are right."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

from torch import nn

from lwlab.data import Split
from lwlab.measure import accuracy, packed_bytes
from lwlab.quantize.mixed.costs import LayerCosts
from lwlab.quantize.mixed.plan import BitPlan, LayerBits, Width
from lwlab.quantize.preparing import prepare_

__all__ = ["Trial", "Widths"]

Widths = dict[str, tuple[int, ...]]
"""A width for each output channel, by layer name."""


class Trial:
    """Tries widths on a copy.

    Args:
        model: is left as it is.
        costs: of the layers that get widths.
        settings: of ``prepare_``.
        target_bytes: the budget.
    """

    def __init__(
        self, model: nn.Module, costs: list[LayerCosts], settings: dict, target_bytes: int
    ) -> None:
        self.costs = costs
        self.target_bytes = target_bytes
        self._model = copy.deepcopy(model)
        self._settings = settings
        self._sizes: dict[tuple, int] = {}
        self._present: dict[str, Width] = {}  # what the copy has been given

    @property
    def layers(self) -> list[str]:
        """The names of the layers that get widths."""
        return [cost.layer for cost in self.costs]

    def size_of(self, widths: Mapping[str, tuple[int, ...]]) -> int:
        """Return the length of the file with these widths; each is written once."""
        key = tuple(widths[cost.layer] for cost in self.costs)
        if key not in self._sizes:
            self._prepare_(_merged(widths))
            self._sizes[key] = packed_bytes(self._model)
        return self._sizes[key]

    def scored(self, plan: BitPlan, split: Split) -> BitPlan:
        """Return the plan with the accuracy that its widths give."""
        self._prepare_(plan.bits)
        return dataclasses.replace(plan, accuracy=accuracy(self._model, split))

    def plan_of(self, widths: Widths, strategy: str, bound: float) -> BitPlan:
        """Return widths as a plan, its file written."""
        rows = tuple(_row(cost, widths[cost.layer]) for cost in self.costs)
        return BitPlan(rows, self.target_bytes, self.size_of(widths), bound, strategy)

    def uniform(self, num_bits: int) -> Widths:
        """Return the same width everywhere."""
        return {cost.layer: (num_bits,) * cost.channels for cost in self.costs}

    def smallest(self) -> Widths:
        """Return for each layer the width with the shortest file."""
        return {
            cost.layer: (cost.bits[cost.sizes.index(min(cost.sizes))],) * cost.channels
            for cost in self.costs
        }

    def _prepare_(self, bits: Mapping[str, Width]) -> None:
        # Only what differs from the widths before: ranges can take long to find.
        changed = {name: width for name, width in bits.items() if self._present.get(name) != width}
        if changed:
            prepare_(self._model, num_bits=changed, **self._settings)
            self._present |= changed


def _merged(widths: Mapping[str, tuple[int, ...]]) -> dict[str, Width]:
    """Return one number for a layer whose channels have all the same width."""
    return {name: row[0] if len(set(row)) == 1 else row for name, row in widths.items()}


def _row(cost: LayerCosts, widths: tuple[int, ...]) -> LayerBits:
    options = cost.of_channels(cost.bits)
    loss = sum(row[cost.bits.index(width)].loss for row, width in zip(options, widths, strict=True))
    num_bits = _merged({cost.layer: widths})[cost.layer]
    return LayerBits(cost.layer, num_bits, cost.weights, loss)

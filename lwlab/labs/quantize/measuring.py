"""What QuantizeLab measures of a network, in parts: its file, its accuracy, its damage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from lwlab import measure, packing
from lwlab.data import Dataset
from lwlab.labs.damage import DamageMeter
from lwlab.labs.quantize.result import QuantizeResult

__all__ = ["Meter"]


class Meter:
    """Measures quantized copies of ``model`` on the validation split.

    Args:
        model: the network in float, for the damage.
        dataset: where the validation split is from.
    """

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        self._split = dataset.validation
        self._damage = DamageMeter(model, self._split, dataset.num_classes)

    def results(self, network: nn.Module, *, show: str, **known: Any) -> Iterator[QuantizeResult]:
        """Yield what is measured by more and more examples; damage last, and only if it is shown.

        Args:
            network: prepared or plain.
            show: ``layers``, ``classes`` or ``flips``.
            **known: further fields of the results.
        """
        breakdown = packing.breakdown(packing.to_bytes(network))
        for accuracy in measure.accuracy_in_parts(network, self._split):
            wanted = show != "layers" and accuracy.total == len(self._split)
            damage = self._damage.damage(network) if wanted else None
            yield QuantizeResult(accuracy, breakdown, damage=damage, **known)

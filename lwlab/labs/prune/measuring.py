"""What PruneLab measures of a network, in parts: its file, its accuracy, its damage."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lwlab import measure, packing
from lwlab.data import Dataset
from lwlab.labs.damage import DamageMeter
from lwlab.labs.prune.cutting import all_masks
from lwlab.labs.prune.result import PruneResult

__all__ = ["Meter"]


class Meter:
    """Measures pruned copies of ``model`` on the validation split.

    Args:
        model: the unpruned network, for the damage.
        dataset: where the validation split is from.
    """

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        self._split = dataset.validation
        self._damage = DamageMeter(model, self._split, dataset.num_classes)

    def results(self, network: nn.Module, *, show: str) -> Iterator[PruneResult]:
        """Yield what is measured by more and more examples; damage last, and only if it is shown.

        Args:
            network: masked or plain.
            show: ``layers``, ``classes`` or ``flips``.
        """
        breakdown = packing.breakdown(packing.to_bytes(network))
        masks, sparsity = all_masks(network), measure.sparsity(network)
        for accuracy in measure.accuracy_in_parts(network, self._split):
            wanted = show != "layers" and accuracy.total == len(self._split)
            damage = self._damage.damage(network) if wanted else None
            yield PruneResult(accuracy, breakdown, sparsity, masks, damage=damage)

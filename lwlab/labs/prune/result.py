"""What PruneLab measures at one setting."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lwlab import measure, packing
from lwlab.labs.damage import Damage
from lwlab.labs.prune.tuning import Recovery
from lwlab.prune.sensitivity_table import Sensitivity

__all__ = ["PruneResult"]


@dataclass(frozen=True)
class PruneResult:
    """What was measured at one setting, of the network on screen.

    That network is the pruned one; once a fine-tuning has ended, the fine-tuned one.

    Attributes:
        accuracy: on the validation split, or on a part of it while the rest is coming.
        breakdown: every byte of the packed file.
        sparsity: zeros / all, over the compressible weights.
        masks: bool tensor of each layer, True keeps.
        test_accuracy: on the test split, if it was asked for at this setting.
        recovery: the fine-tuning that runs or has ended; None if there was none at this cut.
        damage: which classes and examples suffer, if they are shown.
        sensitivity: the scan layer by layer for this criterion, as far as it was measured.
    """

    accuracy: measure.Accuracy
    breakdown: packing.Breakdown
    sparsity: float
    masks: dict[str, torch.Tensor]
    test_accuracy: measure.Accuracy | None = None
    recovery: Recovery | None = None
    damage: Damage | None = None
    sensitivity: Sensitivity | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return self.breakdown.total

    @property
    def tuned(self) -> bool:
        """Whether the network on screen is fine-tuned."""
        return self.recovery is not None and self.recovery.ended

"""What the total hides: the classes that suffer, and the examples that change sides."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lwlab import measure
from lwlab.data import Split

__all__ = ["Damage", "DamageMeter"]

PerClass = tuple[measure.Accuracy | None, ...]


@dataclass(frozen=True, eq=False)
class Damage:
    """The network on screen beside the one that nothing was done to, on the validation split.

    Attributes:
        before, after: accuracy of each class; None for a class without examples.
        flips: the examples that broke, and those that were repaired.
        answers: int64 ``(N,)``, what the network on screen answers.
    """

    before: PerClass
    after: PerClass
    flips: measure.Flips
    answers: Tensor


class DamageMeter:
    """Compares networks with ``model``, which is run once, when it is first needed.

    Args:
        model: the network as it came.
        split: what both are compared on.
        num_classes: how many there are.
    """

    def __init__(self, model: nn.Module, split: Split, num_classes: int) -> None:
        self._model, self._split, self._num_classes = model, split, num_classes
        self._before: Tensor | None = None

    def damage(self, network: nn.Module) -> Damage:
        """Return what ``network`` has lost and won."""
        if self._before is None:
            self._before = measure.predictions(self._model, self._split.inputs)
        answers = measure.predictions(network, self._split.inputs)
        flips = measure.flips_of(self._before, answers, self._split.targets)
        return Damage(self._per_class(self._before), self._per_class(answers), flips, answers)

    def _per_class(self, answers: Tensor) -> PerClass:
        targets = self._split.targets
        return tuple(measure.per_class_accuracy_of(answers, targets, self._num_classes))

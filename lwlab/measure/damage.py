"""What a total hides: which classes suffer, and which examples change sides.

A pruned network with the accuracy of its original often gives other answers. The functions that
end in ``_of`` work on answers that are already there, so that a lab runs each model once.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lwlab.checks import check_count
from lwlab.data import Split
from lwlab.measure.accuracy import Accuracy, check_answers, check_targets
from lwlab.measure.predicting import Predictor, check_split
from lwlab.units import format_count

__all__ = ["Flips", "flipped", "flips_of", "per_class_accuracy", "per_class_accuracy_of"]


@dataclass(frozen=True, eq=False)
class Flips:
    """The examples on which one model is right and the other wrong.

    Attributes:
        broken: int64 indices of the examples that only the first model gets right, ascending.
        repaired: int64 indices of those that only the second gets right, ascending.
    """

    broken: Tensor
    repaired: Tensor

    @property
    def p_value(self) -> float:
        """How often two equally good models would differ this much or more, in [0, 1].

        The exact test of McNemar: were both equally good, each flip would go either way like a
        coin, so ``p = 2 * P(at most min(broken, repaired) heads in broken + repaired throws)``.

        Source: McNemar 1947, "Note on the sampling error of the difference between correlated
        proportions or percentages".
        """
        throws = len(self.broken) + len(self.repaired)
        fewer = min(len(self.broken), len(self.repaired))
        ways = term = 1  # throws over 0
        for heads in range(fewer):
            term = term * (throws - heads) // (heads + 1)
            ways += term
        return min(1.0, 2 * ways / 2**throws)

    def __str__(self) -> str:
        broken, repaired = format_count(len(self.broken)), format_count(len(self.repaired))
        return f"{broken} broken, {repaired} repaired"


def flipped(model: nn.Module, other: nn.Module, split: Split, batch_size: int = 250) -> Flips:
    """Return the examples of ``split`` that ``other`` breaks and repairs, compared with ``model``.

    Raises:
        TypeError, ValueError: as for ``accuracy``, for each of the two.
    """
    before = _checked_predictions(model, split, batch_size)[0]
    after = _checked_predictions(other, split, batch_size)[0]
    return flips_of(before, after, split.targets)


def flips_of(before: Tensor, after: Tensor, targets: Tensor) -> Flips:
    """Return the flips between two sets of answers.

    Args:
        before: int64 tensor ``(N,)``, the first model's answers.
        after: int64 tensor ``(N,)``, the second's.
        targets: int64 tensor ``(N,)``.

    Raises:
        TypeError, ValueError: they are not class numbers, or not as many, or none.
    """
    check_answers(before=before, after=after, targets=targets)
    was_right, is_right = before == targets, after == targets
    broken, repaired = was_right & ~is_right, ~was_right & is_right
    return Flips(broken.nonzero().flatten(), repaired.nonzero().flatten())


def per_class_accuracy(
    model: nn.Module, split: Split, num_classes: int | None = None, batch_size: int = 250
) -> list[Accuracy | None]:
    """Return, for each class, the accuracy over the examples that are of it.

    Args:
        model: as for ``accuracy``.
        split: as for ``accuracy``.
        num_classes: length of the list; the number of the model's outputs if None.
        batch_size: inputs per forward pass, at the most.

    Returns:
        One ``Accuracy`` a class; None for a class without an example.

    Raises:
        TypeError, ValueError: as for ``accuracy``, or a target that is not below ``num_classes``.
    """
    predicted, outputs = _checked_predictions(model, split, batch_size)
    count = outputs if num_classes is None else num_classes
    return per_class_accuracy_of(predicted, split.targets, count)


def per_class_accuracy_of(
    predicted: Tensor, targets: Tensor, num_classes: int
) -> list[Accuracy | None]:
    """Return the accuracy of each class from answers that are already there.

    Args:
        predicted: int64 tensor ``(N,)``.
        targets: int64 tensor ``(N,)``, in ``[0, num_classes)``.
        num_classes: length of the list.

    Returns:
        One ``Accuracy`` a class; None for a class without an example.

    Raises:
        TypeError, ValueError: they are not class numbers, not as many, none, or out of range.
    """
    check_answers(predicted=predicted, targets=targets)
    num_classes = check_count("num_classes", num_classes)
    check_targets(targets, num_classes)
    totals = targets.bincount(minlength=num_classes).tolist()
    correct = targets[predicted == targets].bincount(minlength=num_classes).tolist()
    return [Accuracy(c, n) if n else None for c, n in zip(correct, totals, strict=True)]


def _checked_predictions(model: nn.Module, split: Split, batch_size: int) -> tuple[Tensor, int]:
    check_split(split)
    predictor = Predictor(model, batch_size)
    predicted = predictor(split.inputs)
    check_targets(split.targets, predictor.num_classes)
    return predicted, predictor.num_classes

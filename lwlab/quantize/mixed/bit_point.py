"""One point of a bit sensitivity: what a model gives with one layer quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lwlab.checks import check_number
from lwlab.measure import Accuracy

__all__ = ["BitPoint"]


@dataclass(frozen=True)
class BitPoint:
    """What a model gives with one layer quantized.

    Attributes:
        accuracy: its right answers.
        loss_increase: mean cross-entropy minus that of the model as it came, in nats; below 0
            where quantizing happens to help.
        divergence: mean Kullback-Leibler divergence of its class probabilities from those of the
            model as it came, in nats, at least 0. It needs no targets, and every example tells
            something, not only the few that change sides.
    """

    accuracy: Accuracy
    loss_increase: float
    divergence: float

    def __post_init__(self) -> None:
        if not isinstance(self.accuracy, Accuracy):
            raise TypeError(f"accuracy must be an Accuracy, got {type(self.accuracy).__name__}.")
        check_number("loss_increase", self.loss_increase)
        check_number("divergence", self.divergence, minimum=0)

    def as_list(self) -> list[float]:
        """Return its four numbers, for JSON: right, all, loss increase, divergence."""
        correct, total = self.accuracy.correct, self.accuracy.total
        return [correct, total, self.loss_increase, self.divergence]

    @classmethod
    def from_list(cls, numbers: Sequence[float]) -> BitPoint:
        """Return the point that ``as_list`` wrote.

        Raises:
            TypeError, ValueError: they are not such numbers.
        """
        correct, total, loss_increase, divergence = numbers
        return cls(Accuracy(correct, total), loss_increase, divergence)

"""How many answers are right, and how far to trust that number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lwlab.checks import check_count
from lwlab.data import Split
from lwlab.measure.predicting import Predictor, check_split
from lwlab.units import format_count, format_interval, format_percent

__all__ = [
    "Accuracy",
    "accuracy",
    "accuracy_in_parts",
    "accuracy_of",
    "check_answers",
    "check_targets",
]

_Z = 1.959963984540054  # 97.5 % of a normal distribution lie below: 95 % between -z and z


@dataclass(frozen=True)
class Accuracy:
    """Right answers out of all, with the 95 % interval of Wilson.

    The interval says where the accuracy on endlessly many such examples may lie. It is never empty
    and stays within [0, 1], also for none or all right, where the textbook's plus-minus fails.

    Attributes:
        correct: right answers.
        total: all answers, at least 1.

    Raises:
        TypeError, ValueError: a count is not whole, or ``correct`` above ``total``.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """

    correct: int
    total: int

    def __post_init__(self) -> None:
        check_count("total", self.total)
        check_count("correct", self.correct, minimum=0, maximum=self.total)

    @property
    def value(self) -> float:
        """Right answers as a fraction in [0, 1]."""
        return self.correct / self.total

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval, in [0, value]."""
        # At the ends the formula is exact, but for its rounding.
        return 0.0 if self.correct == 0 else self._center() - self._half_width()

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval, in [value, 1]."""
        return 1.0 if self.correct == self.total else self._center() + self._half_width()

    def _center(self) -> float:
        return (self.value + _Z**2 / (2 * self.total)) / (1 + _Z**2 / self.total)

    def _half_width(self) -> float:
        variance = self.value * (1 - self.value) / self.total + _Z**2 / (4 * self.total**2)
        return _Z * math.sqrt(variance) / (1 + _Z**2 / self.total)

    def __str__(self) -> str:
        counts = f"{format_count(self.correct)} of {format_count(self.total)}"
        interval = format_interval(self.low, self.high)
        return f"{format_percent(self.value)} ({interval}, {counts})"


def accuracy(model: nn.Module, split: Split, batch_size: int = 250) -> Accuracy:
    """Return the accuracy of ``model`` on ``split``. Nothing of the model changes.

    Args:
        model: takes inputs ``(B, *shape)``, returns logits ``(B, C)``; NaN logits count as wrong.
        split: its targets lie in ``[0, C)``.
        batch_size: inputs per forward pass, at the most.

    Raises:
        TypeError: an argument, or what the model returns, is of another type.
        ValueError: an empty split, a model that fails on it, targets outside the model's classes.
    """
    check_split(split)
    predictor = Predictor(model, batch_size)
    predicted = predictor(split.inputs)
    check_targets(split.targets, predictor.num_classes)
    return accuracy_of(predicted, split.targets)


def accuracy_in_parts(
    model: nn.Module,
    split: Split,
    first_part: int = 500,
    part_size: int = 1500,
    batch_size: int = 250,
    seed: int = 0,
) -> Iterator[Accuracy]:
    """Yield the accuracy over more and more of ``split``; the last one is that of ``accuracy``.

    The order is shuffled, and the same for one seed: each part is a fair sample of the whole, and
    two models are compared on the same examples. Between two parts the model is as it came, and
    the generator may be dropped there.

    Args:
        model: as for ``accuracy``.
        split: as for ``accuracy``.
        first_part: examples before the first yield; few, so that an estimate comes at once.
        part_size: examples added from one yield to the next; more, since each costs a redraw.
        batch_size: inputs per forward pass, at the most.
        seed: of the order.

    Returns:
        A generator; nothing is run before the first part is asked for.

    Raises:
        TypeError, ValueError: at the call, for arguments out of range; while running, as
            ``accuracy``.
    """
    check_split(split)
    first_part = check_count("first_part", first_part)
    part_size = check_count("part_size", part_size)
    generator = torch.Generator().manual_seed(check_count("seed", seed, minimum=0))
    order = torch.randperm(len(split), generator=generator)
    parts = (order[:first_part], *order[first_part:].split(part_size))
    return _accumulate(Predictor(model, batch_size), split, [part for part in parts if len(part)])


def _accumulate(predictor: Predictor, split: Split, parts: list[Tensor]) -> Iterator[Accuracy]:
    correct = total = 0
    for part in parts:
        predicted = predictor(split.inputs[part])
        check_targets(split.targets, predictor.num_classes)
        correct += int((predicted == split.targets[part]).sum())
        total += len(part)
        yield Accuracy(correct, total)


def accuracy_of(predicted: Tensor, targets: Tensor) -> Accuracy:
    """Return the accuracy of answers that are already there; see ``predictions``.

    Args:
        predicted: int64 tensor ``(N,)``.
        targets: int64 tensor ``(N,)``.

    Raises:
        TypeError, ValueError: they are not class numbers, or not as many, or none.
    """
    check_answers(predicted=predicted, targets=targets)
    return Accuracy(int((predicted == targets).sum()), len(targets))


def check_answers(**answers: Tensor) -> None:
    """Check that all are whole numbers of one shape ``(N,)``, with N of at least 1.

    Raises:
        TypeError, ValueError: one is not; its keyword is its name in the sentence.
    """
    for name, answer in answers.items():
        if not isinstance(answer, Tensor):
            raise TypeError(f"{name} must be class numbers (int64), got {type(answer).__name__}.")
        if answer.is_floating_point() or answer.dtype == torch.bool:
            raise TypeError(f"{name} must be class numbers (int64), got {answer.dtype}.")
        if answer.ndim != 1 or not len(answer):
            raise ValueError(
                f"{name} must be one class for each of at least 1 example, shape (N,), got shape "
                f"{tuple(answer.shape)}."
            )
    lengths = {name: len(answer) for name, answer in answers.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"All answers must be of the same examples, got {listed}.")


def check_targets(targets: Tensor, num_classes: int) -> None:
    """Check that every target is one of the model's classes.

    Raises:
        ValueError: the first target that is not.
    """
    outside = targets[(targets < 0) | (targets >= num_classes)]
    if len(outside):
        raise ValueError(
            f"targets must be from 0 to {num_classes - 1} for {num_classes} classes, "
            f"got {int(outside[0])}."
        )

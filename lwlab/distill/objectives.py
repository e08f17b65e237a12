"""The losses as objectives of ``train.fit``: settings that are called with outputs and batch.

    teacher = Teacher(trained)
    loss = Distillation(CachedAnswers(teacher, dataset), temperature=4, alpha=0.9)
    fit(student, dataset, loss=loss)

Training without a teacher is ``fit``'s default, ``train.cross_entropy``. All leave examples without
a label (-1) out of their hard term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lwlab.checks import check_choice, check_fraction, check_number
from lwlab.distill.answers import Answers
from lwlab.distill.correlation import correlation_loss
from lwlab.distill.decoupled import decoupled_loss
from lwlab.distill.losses import hard_loss, logit_matching_loss, soft_loss
from lwlab.distill.smoothing import label_smoothing_loss
from lwlab.distill.softening import check_temperature
from lwlab.distill.teacher import Teacher
from lwlab.train.choices import LossFunction
from lwlab.train.records import Batch

__all__ = ["KINDS", "Distillation", "LabelSmoothing", "Scaled"]


@dataclass(frozen=True)
class Distillation:
    """``(1 - alpha) * cross-entropy + alpha * soft``, with one of four soft terms.

    * ``"kl"``: ``T^2 * KL``, as in ``distillation_loss``;
    * ``"mse"``: ``logit_matching_loss``, which has no temperature;
    * ``"dkd"``: ``decoupled_loss``;
    * ``"dist"``: ``correlation_loss``.

    The papers of the last two add their term to a whole cross-entropy: with weights w for theirs
    and 1 for it, set ``alpha = w / (1 + w)``, which is theirs up to a common factor.

    Args:
        answers: where the teacher's logits come from: ``CachedAnswers``, ``LiveAnswers``, ...
        temperature: T, above 0.
        alpha: weight of the soft term, in [0, 1].
        kind: ``"kl"``, ``"mse"``, ``"dkd"`` or ``"dist"``.
        target_weight: of the target class, for ``"dkd"``.
        other_weight: of the other classes, for ``"dkd"``.
        inter_weight: of the correlation over classes, for ``"dist"``.
        intra_weight: of the correlation over examples, for ``"dist"``.

    Raises:
        TypeError, ValueError: a setting is out of range, or ``answers`` cannot be called with a
            batch. When called: what comes does not fit, see the functions.
    """

    answers: Answers
    temperature: float = 4.0
    alpha: float = 0.9
    kind: str = "kl"
    target_weight: float = 1.0
    other_weight: float = 8.0
    inter_weight: float = 1.0
    intra_weight: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.answers, Teacher) or not callable(self.answers):
            raise TypeError(
                f"answers must be callable with a batch, got {type(self.answers).__name__}. "
                f"Try CachedAnswers(teacher, dataset)."
            )
        check_temperature(self.temperature)
        check_fraction("alpha", self.alpha, allow_one=True)
        check_choice("kind", self.kind, KINDS)
        for name in ("target_weight", "other_weight", "inter_weight", "intra_weight"):
            check_number(name, getattr(self, name), minimum=0)

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the student's logits ``(B, C)``, a differentiable scalar."""
        soft = KINDS[self.kind](self, outputs, self.answers(batch), batch)
        return (1 - self.alpha) * hard_loss(outputs, batch.targets) + self.alpha * soft


def _kl(settings: Distillation, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
    del batch
    return soft_loss(student, teacher, temperature=settings.temperature)


def _mse(settings: Distillation, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
    del settings, batch
    return logit_matching_loss(student, teacher)


def _dkd(settings: Distillation, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
    return decoupled_loss(
        student,
        teacher,
        batch.targets,
        temperature=settings.temperature,
        target_weight=settings.target_weight,
        other_weight=settings.other_weight,
    )


def _dist(settings: Distillation, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
    del batch
    return correlation_loss(
        student,
        teacher,
        temperature=settings.temperature,
        inter_weight=settings.inter_weight,
        intra_weight=settings.intra_weight,
    )


KINDS: dict[str, Callable[[Distillation, Tensor, Tensor, Batch], Tensor]] = {
    "kl": _kl,
    "mse": _mse,
    "dkd": _dkd,
    "dist": _dist,
}
"""The soft terms by name."""


@dataclass(frozen=True)
class LabelSmoothing:
    """A control: soft labels without a teacher, ``label_smoothing_loss``.

    Args:
        amount: part of each label that is spread over all classes, in [0, 1].

    Raises:
        TypeError, ValueError: ``amount`` is no such fraction.
    """

    amount: float = 0.1

    def __post_init__(self) -> None:
        check_fraction("amount", self.amount, allow_one=True)

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the student's logits ``(B, C)``, a differentiable scalar."""
        return label_smoothing_loss(outputs, batch.targets, amount=self.amount)


@dataclass(frozen=True)
class Scaled:
    """``factor * loss``: a control that takes the same size of step as another loss.

    With plain SGD this is a learning rate multiplied by ``factor``. Adam divides its step by the
    size of the gradient, so that it takes the same step whatever the factor.

    Args:
        loss: as for ``fit``.
        factor: above 0, for instance a ``gradient_ratio``.

    Raises:
        TypeError, ValueError: ``factor`` is no such number, or ``loss`` no function.
    """

    loss: LossFunction
    factor: float

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise TypeError(
                f"loss must be a function (outputs, batch) -> scalar, got {self.loss!r}."
            )
        check_number("factor", self.factor, above=0)

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return ``factor * loss(outputs, batch)``."""
        return self.factor * self.loss(outputs, batch)

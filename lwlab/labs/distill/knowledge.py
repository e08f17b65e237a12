"""What the teacher says about the validation split, softened as the slider stands."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lwlab import measure
from lwlab.data import Dataset
from lwlab.distill import Teacher, soften
from lwlab.distill.logits import check_pair
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.result import Answer, Score
from lwlab.measure.predicting import Predictor

__all__ = ["Knowledge", "check_together"]

_TRIED = 8  # examples that a student is tried on before anything is trained


class Knowledge:
    """Answers of one teacher to the validation split, asked once.

    Args:
        teacher: frozen.
        dataset: of the lab.

    Attributes:
        score: accuracy of the teacher, and the length of its file, or files.

    Raises:
        TypeError, ValueError: the teacher cannot answer.
    """

    def __init__(self, teacher: Teacher, dataset: Dataset) -> None:
        self._targets = dataset.validation.targets
        self.logits = teacher.answers(dataset.validation)
        two = self.logits.topk(2, dim=1).values
        self._hesitant = (two[:, 0] - two[:, 1]).argsort(stable=True)
        self.score = Score(
            measure.accuracy_of(self.logits.argmax(dim=1), self._targets),
            sum(measure.packed_bytes(model) for model in teacher.models),
        )

    def index(self, params: DistillParams) -> int:
        """Return the position of the image on screen in the validation split."""
        if params.order == "hesitant":
            return int(self._hesitant[params.example])
        return params.example

    def answer(self, params: DistillParams) -> Answer:
        """Return the softened answer to the image on screen."""
        index = self.index(params)
        label = int(self._targets[index])
        [row] = soften(self.logits[index : index + 1], params.temperature).tolist()
        return Answer(index, label if label >= 0 else None, tuple(row))

    def similarity(self, temperature: float) -> tuple[tuple[float, ...] | None, ...]:
        """Return the mean softened answer of each true class; None for one without examples."""
        softened = soften(self.logits, temperature)
        labelled = self._targets >= 0
        targets, num_classes = self._targets[labelled], softened.shape[1]
        sums = torch.zeros(num_classes, num_classes)
        sums.index_add_(0, targets, softened[labelled].float())
        counts = torch.bincount(targets, minlength=num_classes)
        rows = (sums / counts.clamp(min=1).unsqueeze(1)).tolist()
        return tuple(
            tuple(row) if count else None for row, count in zip(rows, counts.tolist(), strict=True)
        )


def check_together(
    teacher: Teacher, student: nn.Module | Callable[[int], nn.Module], dataset: Dataset
) -> None:
    """Check that teacher, student and data set speak of the same classes, in logits.

    Args:
        teacher: frozen.
        student: with its weights.
        dataset: of the lab.

    Raises:
        TypeError, ValueError: a network cannot answer, the numbers of classes differ, or one
            returns probabilities.
    """
    inputs = dataset.validation.inputs
    theirs = teacher.answers(dataset.validation)
    ours = Predictor(student).logits(inputs[:_TRIED])
    for who, logits in (("teacher", theirs), ("student", ours)):
        if logits.shape[1] != dataset.num_classes:
            raise ValueError(
                f"{who} must return one logit for each of the {dataset.num_classes} classes of "
                f"the data set, got {logits.shape[1]}. All three must tell the same classes apart, "
                f"in the same order."
            )
    check_pair(ours, theirs[: len(ours)])

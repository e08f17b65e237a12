"""Exercises of lesson 02: soft answers, and the loss by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task

__all__ = [
    "DISTILL_TASKS",
    "SOFT_CASES",
    "SOFT_HINT",
    "STUDENT",
    "TEACHER",
    "mean_over_classes",
    "soft_loss",
    "swapped",
    "without_square",
]


def soften(logits: Tensor, temperature: float) -> Tensor:
    """Return the probabilities of each row at a temperature."""
    return torch.softmax(logits / temperature, dim=1)


def soft_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student) of the softened answers, mean over the rows."""
    teacher = soften(teacher_logits, temperature)
    student = torch.log_softmax(student_logits / temperature, dim=1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean")


TEACHER = torch.tensor([[6.0, 2.0, 1.0], [0.0, 3.0, 2.5]])
STUDENT = torch.tensor([[2.0, 1.0, 0.0], [1.0, 0.5, -1.0]])

_SOFTEN = Task(
    name="distill.soften",
    statement=(
        "soften(logits, temperature) takes logits, a row for each image, and returns the "
        "probabilities of each row at that temperature."
    ),
    reference=soften,
    cases=(
        Case("two rows at T = 4", (TEACHER, 4.0)),
        Case("T = 1 is the plain softmax", (TEACHER, 1.0)),
        Case("one row, cold", (STUDENT[:1], 0.5)),
    ),
    mistakes=(
        Mistake(
            "The logits were multiplied: a high temperature must bring them closer together.",
            lambda logits, temperature: torch.softmax(logits * temperature, dim=1),
        ),
        Mistake(
            "The probabilities were divided, not the logits: they no longer sum to 1.",
            lambda logits, temperature: torch.softmax(logits, dim=1) / temperature,
        ),
        Mistake(
            "Each column sums to 1; each row should: a row is one image.",
            lambda logits, temperature: torch.softmax(logits / temperature, dim=0),
        ),
        Mistake(
            "These are logarithms of the probabilities.",
            lambda logits, temperature: torch.log_softmax(logits / temperature, dim=1),
        ),
    ),
    hints=(
        "Which of the two comes first, the temperature or the softmax?",
        "p_i = exp(z_i / T) / sum_j exp(z_j / T)",
        ("def soften(logits, temperature):\n    return torch.softmax(logits / temperature, dim=1)"),
    ),
)


def mean_over_classes(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return the soft loss as kl_div gives it by default: a mean over the classes, too."""
    return soft_loss(student_logits, teacher_logits, temperature) / student_logits.shape[1]


def without_square(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return the soft loss without T^2."""
    return soft_loss(student_logits, teacher_logits, temperature) / temperature**2


def swapped(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return the divergence the other way round."""
    return soft_loss(teacher_logits, student_logits, temperature)


def _hot_teacher_only(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    log_student = torch.log_softmax(student_logits, dim=1)
    soft = soften(teacher_logits, temperature)
    return temperature**2 * F.kl_div(log_student, soft, reduction="batchmean")


SOFT_CASES = (
    Case("two images, T = 4", (STUDENT, TEACHER, 4.0)),
    Case("T = 1", (STUDENT, TEACHER, 1.0)),
    Case("the student is sure of something else", (STUDENT.flip(1), TEACHER, 2.0)),
    Case("one image, T = 10", (STUDENT[1:], TEACHER[1:], 10.0)),
)
SOFT_HINT = (
    "    teacher = torch.softmax(teacher_logits / temperature, dim=1)\n"
    "    student = torch.log_softmax(student_logits / temperature, dim=1)\n"
    "    divergence = (teacher * (teacher.log() - student)).sum(dim=1)\n"
    "    return temperature**2 * divergence.mean()"
)

_SOFT_LOSS = Task(
    name="distill.soft_loss",
    statement=(
        "soft_loss(student_logits, teacher_logits, temperature) returns T**2 times the KL "
        "divergence from the teacher's softened answer to the student's: summed over the classes, "
        "mean over the images."
    ),
    reference=soft_loss,
    cases=SOFT_CASES,
    mistakes=(
        Mistake(
            "It was averaged over the classes too: the default of kl_div. Sum over the classes, "
            "mean over the images.",
            mean_over_classes,
        ),
        Mistake(
            "The factor T**2 is missing: the warmer, the weaker the teacher's voice.",
            without_square,
        ),
        Mistake(
            "Teacher and student are swapped: the expectation is over the teacher's answer.",
            swapped,
        ),
        Mistake(
            "Only the teacher was softened; both answer at the same temperature.",
            _hot_teacher_only,
        ),
        Mistake(
            "It was summed over the images, not averaged.",
            lambda student_logits, teacher_logits, temperature: (
                len(student_logits) * soft_loss(student_logits, teacher_logits, temperature)
            ),
        ),
    ),
    hints=(
        "Soften both. Then sum p log(p / q) over the classes: which of the two is p?",
        "T^2 * mean over images of sum_i p_i (log p_i - log q_i), p the teacher, q the student",
        f"def soft_loss(student_logits, teacher_logits, temperature):\n{SOFT_HINT}",
    ),
)

DISTILL_TASKS = (_SOFTEN, _SOFT_LOSS)

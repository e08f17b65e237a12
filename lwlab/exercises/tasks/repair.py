"""Exercises of lesson 02: three losses that are nearly right, to be repaired."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lwlab.exercises.task import Case, Mistake, Task
from lwlab.exercises.tasks.distill import (
    SOFT_CASES,
    SOFT_HINT,
    STUDENT,
    TEACHER,
    mean_over_classes,
    soft_loss,
    swapped,
    without_square,
)

__all__ = ["REPAIR_TASKS"]

_TARGETS = torch.tensor([0, 1])


def mixed_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    temperature: float,
    alpha: float,
) -> Tensor:
    """Return alpha times the soft loss plus (1 - alpha) times the cross-entropy."""
    hard = F.cross_entropy(student_logits, targets)
    return alpha * soft_loss(student_logits, teacher_logits, temperature) + (1 - alpha) * hard


_FIRST_REPAIR = Task(
    name="distill.first_repair",
    statement=(
        "first_repair(student_logits, teacher_logits, temperature): the first of the three losses "
        "of this section, with its bug repaired."
    ),
    reference=soft_loss,
    cases=SOFT_CASES,
    mistakes=(
        Mistake(
            "This is still the loss with the bug: with ten classes ten times too small. What does "
            "kl_div divide by?",
            mean_over_classes,
        ),
        Mistake("Now the factor T**2 is missing.", without_square),
        Mistake(
            "Now it is summed over the images.",
            lambda student_logits, teacher_logits, temperature: (
                len(student_logits) * soft_loss(student_logits, teacher_logits, temperature)
            ),
        ),
    ),
    hints=(
        "Compute it for one image, then for the same image twice, then with a class more.",
        'F.kl_div has an argument `reduction`; "mean" is its default, and seldom what one wants.',
        (
            "def first_repair(student_logits, teacher_logits, temperature):\n"
            "    student = torch.log_softmax(student_logits / temperature, dim=1)\n"
            "    teacher = torch.softmax(teacher_logits / temperature, dim=1)\n"
            "    kl = torch.nn.functional.kl_div(student, teacher, reduction='batchmean')\n"
            "    return temperature**2 * kl"
        ),
    ),
)

_SECOND_REPAIR = Task(
    name="distill.second_repair",
    statement=(
        "second_repair(student_logits, teacher_logits, temperature): the second of the three "
        "losses of this section, with its bug repaired."
    ),
    reference=soft_loss,
    cases=SOFT_CASES,
    mistakes=(
        Mistake(
            "This is still the loss with the bug: it is large where the *student* is sure. Which "
            "of the two is the first argument of kl_div?",
            swapped,
        ),
        Mistake("Now the factor T**2 is missing.", without_square),
        Mistake("Now it is averaged over the classes too.", mean_over_classes),
    ),
    hints=(
        "kl_div(a, b) is the divergence from b to a, and a comes as logarithms.",
        "The teacher's answer is the one that stands as plain probabilities.",
        f"def second_repair(student_logits, teacher_logits, temperature):\n{SOFT_HINT}",
    ),
)


def _square_on_both(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    temperature: float,
    alpha: float,
) -> Tensor:
    hard = F.cross_entropy(student_logits, targets)
    soft = without_square(student_logits, teacher_logits, temperature)
    return temperature**2 * (alpha * soft + (1 - alpha) * hard)


def _without_any_square(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    temperature: float,
    alpha: float,
) -> Tensor:
    return _square_on_both(student_logits, teacher_logits, targets, temperature, alpha) / (
        temperature**2
    )


_THIRD_REPAIR = Task(
    name="distill.third_repair",
    statement=(
        "third_repair(student_logits, teacher_logits, targets, temperature, alpha): the last of "
        "the three losses of this section, with its bug repaired; alpha weighs the soft term."
    ),
    reference=mixed_loss,
    cases=(
        Case("half and half at T = 4", (STUDENT, TEACHER, _TARGETS, 4.0, 0.5)),
        Case("mostly soft", (STUDENT, TEACHER, _TARGETS, 2.0, 0.9)),
        Case("only the labels", (STUDENT, TEACHER, _TARGETS, 4.0, 0.0)),
        Case("T = 1", (STUDENT, TEACHER, _TARGETS, 1.0, 0.5)),
    ),
    mistakes=(
        Mistake(
            "This is still the loss with the bug: with alpha = 0 it is not the cross-entropy. "
            "Which term does T make weaker?",
            _square_on_both,
        ),
        Mistake("Now no term has the factor T**2.", _without_any_square),
        Mistake(
            "alpha weighs the wrong term.",
            lambda student_logits, teacher_logits, targets, temperature, alpha: mixed_loss(
                student_logits, teacher_logits, targets, temperature, 1 - alpha
            ),
        ),
        Mistake(
            "The student must meet the labels at temperature 1.",
            lambda student_logits, teacher_logits, targets, temperature, alpha: (
                alpha * soft_loss(student_logits, teacher_logits, temperature)
                + (1 - alpha) * F.cross_entropy(student_logits / temperature, targets)
            ),
        ),
    ),
    hints=(
        "Set alpha to 0: what should be left?",
        "alpha * T^2 * KL + (1 - alpha) * cross-entropy",
        (
            "def third_repair(student_logits, teacher_logits, targets, temperature, alpha):\n"
            "    student = torch.log_softmax(student_logits / temperature, dim=1)\n"
            "    teacher = torch.softmax(teacher_logits / temperature, dim=1)\n"
            "    kl = torch.nn.functional.kl_div(student, teacher, reduction='batchmean')\n"
            "    hard = torch.nn.functional.cross_entropy(student_logits, targets)\n"
            "    return alpha * temperature**2 * kl + (1 - alpha) * hard"
        ),
    ),
)

REPAIR_TASKS = (_FIRST_REPAIR, _SECOND_REPAIR, _THIRD_REPAIR)

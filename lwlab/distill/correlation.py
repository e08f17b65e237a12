"""Match correlations in place of values: a student need not copy how sure its teacher is.

Pearson's correlation is the same after a shift and a stretch. So the student has to agree on which
classes are likelier for an example (a row) and on which examples are likelier for a class (a
column), and is free in the rest. This helps where a teacher is much stronger than its student.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.checks import check_number
from lwlab.distill.logits import check_pair
from lwlab.distill.softening import check_temperature

__all__ = ["correlation_loss"]

# Keeps the correlation with a constant row, which has none, at 0.
_SMALLEST = 1e-8


def correlation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 1.0,
    inter_weight: float = 1.0,
    intra_weight: float = 1.0,
) -> Tensor:
    """Return ``T^2 * (inter_weight * mean(1 - r_row) + intra_weight * mean(1 - r_column))``.

    r is Pearson's correlation of the two softened answers: r_row over the classes of one example
    (the inter-class relation), r_column over the examples of one class (the intra-class relation).
    From 0 to ``2 T^2 (inter_weight + intra_weight)``. The hard term is not in it.

    The factor T^2 stands in the authors' code. A correlation does not see the factor 1 / T that
    softening brings, so that the gradient grows with it at high temperatures: the default is 1.

    Args:
        student_logits: ``(N, C)``, N of at least 2.
        teacher_logits: ``(N, C)``.
        temperature: T, above 0.
        inter_weight: at least 0; beta in the paper.
        intra_weight: at least 0; gamma in the paper.

    Raises:
        TypeError, ValueError: an argument is of another form, the classes differ, or probabilities
            came for logits.

    Source: Huang et al. 2022, "Knowledge distillation from a stronger teacher", arXiv:2205.10536,
    equations 8 to 10.
    """
    temperature = check_temperature(temperature)
    inter_weight = check_number("inter_weight", inter_weight, minimum=0)
    intra_weight = check_number("intra_weight", intra_weight, minimum=0)
    student_logits, teacher_logits = check_pair(student_logits, teacher_logits)
    if len(student_logits) < 2:
        raise ValueError(
            "student_logits must hold at least 2 examples to correlate those of a class, got 1."
        )
    student = (student_logits / temperature).softmax(dim=1)
    teacher = (teacher_logits / temperature).softmax(dim=1)
    inter = 1 - _correlations(student, teacher).mean()
    intra = 1 - _correlations(student.T, teacher.T).mean()
    return temperature**2 * (inter_weight * inter + intra_weight * intra)


def _correlations(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation of each row of ``first`` with the same row of ``second``."""
    first = first - first.mean(dim=1, keepdim=True)
    second = second - second.mean(dim=1, keepdim=True)
    lengths = torch.linalg.vector_norm(first, dim=1) * torch.linalg.vector_norm(second, dim=1)
    return (first * second).sum(dim=1) / (lengths + _SMALLEST)

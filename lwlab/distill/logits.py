"""What the losses of distillation take: logits of two networks, and targets that may be missing."""

from __future__ import annotations

import torch
from torch import Tensor

from lwlab.data.dataset import UNLABELLED

__all__ = ["check_labels", "check_logits", "check_pair"]

# Rows of float16 softmax add up to 1 within about this much.
_SUM_TOLERANCE = 2e-3


def check_logits(name: str, logits: Tensor) -> Tensor:
    """Return ``logits`` if they are a floating-point tensor ``(N, C)``, N >= 1 and C >= 2.

    Raises:
        TypeError: they are no tensor, or of whole numbers.
        ValueError: they have another shape.
    """
    allowed = "floating-point logits of shape (N, classes)"
    if not isinstance(logits, Tensor):
        raise TypeError(f"{name} must be {allowed}, got {type(logits).__name__}.")
    if not logits.is_floating_point():
        raise TypeError(f"{name} must be {allowed}, got {logits.dtype}.")
    if logits.ndim != 2 or logits.shape[0] < 1 or logits.shape[1] < 2:
        raise ValueError(
            f"{name} must be {allowed}, at least 1 example and 2 classes, got shape "
            f"{tuple(logits.shape)}."
        )
    return logits


def check_pair(student_logits: Tensor, teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return both, the teacher's cut off from its graph, if they answer the same examples.

    Probabilities in place of logits are refused: a second softmax flattens them, and the student
    would learn next to nothing without any sign of an error. Logarithms of probabilities are
    logits.

    Raises:
        TypeError, ValueError: one is of another form, the numbers of examples or classes differ,
            or one of the two holds probabilities.
    """
    check_logits("student_logits", student_logits)
    check_logits("teacher_logits", teacher_logits)
    ours, theirs = student_logits.shape, teacher_logits.shape
    if ours[0] != theirs[0]:
        raise ValueError(
            f"teacher_logits must answer each of the student's {ours[0]} examples, got "
            f"{theirs[0]} rows."
        )
    if ours[1] != theirs[1]:
        raise ValueError(
            f"teacher_logits must have one column for each of the student's {ours[1]} classes, "
            f"got {theirs[1]}. Both networks must tell the same classes apart, in the same order."
        )
    teacher_logits = teacher_logits.detach()
    _check_no_probabilities("teacher", teacher_logits)
    _check_no_probabilities("student", student_logits.detach())
    return student_logits, teacher_logits


def _check_no_probabilities(who: str, logits: Tensor) -> None:
    # The smallest value decides for nearly all logits, before anything is summed.
    if logits.min() < 0 or ((logits.sum(dim=1) - 1).abs() > _SUM_TOLERANCE).any():
        return
    raise ValueError(
        f"{who}_logits must be logits, got probabilities: no value below 0, and rows that sum to "
        f"1. Let the {who} return what it has before its softmax."
    )


def check_labels(targets: Tensor, logits: Tensor) -> Tensor:
    """Return ``targets`` if they are a class or -1 (no label) for each row of ``logits``.

    Raises:
        TypeError: they are no int64 tensor.
        ValueError: they have another shape, or hold what is no class.
    """
    count, num_classes = logits.shape
    if not isinstance(targets, Tensor) or targets.dtype != torch.int64:
        got = targets.dtype if isinstance(targets, Tensor) else type(targets).__name__
        raise TypeError(f"targets must be an int64 tensor of classes, got {got}.")
    if tuple(targets.shape) != (count,):
        raise ValueError(
            f"targets must have shape ({count},), one class per example, got "
            f"{tuple(targets.shape)}."
        )
    low, high = targets.aminmax()
    if low < UNLABELLED or high >= num_classes:
        wrong = int(low if low < UNLABELLED else high)
        raise ValueError(
            f"targets must be from 0 to {num_classes - 1}, or {UNLABELLED} for an unlabelled "
            f"example, got {wrong}."
        )
    return targets

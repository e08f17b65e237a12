"""Features of two networks that go together: the same examples, and images of one size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["check_features", "common_size"]


def check_features(student: Tensor, teacher: Tensor) -> None:
    """Check that both are ``(N, D)`` or both ``(N, C, H, W)``, of the same N.

    Raises:
        TypeError: one is no floating-point tensor.
        ValueError: the shapes do not go together.
    """
    for who, features in (("student", student), ("teacher", teacher)):
        if not isinstance(features, Tensor) or not features.is_floating_point():
            got = features.dtype if isinstance(features, Tensor) else type(features).__name__
            raise TypeError(f"{who} features must be a floating-point tensor, got {got}.")
    ours, theirs = tuple(student.shape), tuple(teacher.shape)
    if student.ndim != teacher.ndim or student.ndim not in (2, 4):
        raise ValueError(
            f"features of student and teacher must both be (N, D) or both (N, C, H, W), got "
            f"{ours} and {theirs}. Pair layers of one kind."
        )
    if ours[0] != theirs[0] or not all(ours + theirs):
        raise ValueError(
            f"features of student and teacher must be of the same examples, got {ours} and "
            f"{theirs}."
        )


def common_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return both at the smaller height and the smaller width, by averaging; ``(N, D)`` as is."""
    if student.ndim == 2 or student.shape[2:] == teacher.shape[2:]:
        return student, teacher
    size = tuple(map(min, student.shape[2:], teacher.shape[2:]))
    return F.adaptive_avg_pool2d(student, size), F.adaptive_avg_pool2d(teacher, size)

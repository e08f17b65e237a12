"""Hints: the student's features, seen through a regressor, shall be the teacher's.

    loss = mean of (r(F_student) - F_teacher)^2

A thin student has fewer channels than its teacher. The regressor r, a 1x1 convolution or a linear
layer, brings them to the teacher's number. It learns along with the student and is thrown away.

Source: Romero et al. 2015, "FitNets: hints for thin deep nets", arXiv:1412.6550, equation 3, with
the sum over features halved there; the mean here does not grow with the layer.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.distill.features.shapes import check_features, common_size
from lwlab.models.layers import seeded

__all__ = ["hint_loss", "make_regressor"]


def make_regressor(student: Tensor, teacher: Tensor, seed: int = 0) -> nn.Module:
    """Return a layer that brings the student's channels to the number of the teacher's.

    Args:
        student: features ``(N, D)`` or ``(N, C, H, W)``, from a dry run.
        teacher: features of the same number of dimensions.
        seed: of the initial weights; the caller's random stream is left alone.

    Raises:
        TypeError, ValueError: the features do not go together.
    """
    check_features(student, teacher)
    ours, theirs = student.shape[1], teacher.shape[1]
    with seeded(seed):
        if student.ndim == 2:
            return nn.Linear(ours, theirs)
        return nn.Conv2d(ours, theirs, 1)


def hint_loss(student: Tensor, teacher: Tensor, regressor: nn.Module | None = None) -> Tensor:
    """Return the mean square difference of regressed student features and teacher features.

    Of images of two sizes the larger one is first averaged down to the smaller one.

    Args:
        student: ``(N, D)`` or ``(N, C, H, W)``.
        teacher: ``(N, D')`` or ``(N, C', H', W')``; no gradient reaches it.
        regressor: from ``make_regressor``; None for features of the same width.

    Raises:
        TypeError, ValueError: the features do not go together.
    """
    check_features(student, teacher)
    student, teacher = common_size(student, teacher.detach())
    student = student if regressor is None else regressor(student)
    if student.shape != teacher.shape:
        raise ValueError(
            f"features must have the same shape for a hint, got {tuple(student.shape)} of the "
            f"student and {tuple(teacher.shape)} of the teacher. Try make_regressor."
        )
    return F.mse_loss(student, teacher)

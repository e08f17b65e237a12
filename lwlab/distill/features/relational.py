"""Relational distillation: not what the features are, but how the examples lie to each other.

    distances:  d_ij = |f_i - f_j| / mean of all such distances       for each pair
    angles:     cos of the angle at f_j between f_i and f_k           for each triple

The student's relations shall be the teacher's, by the Huber loss. Features of any widths can be
compared, since only relations within one network are formed; nothing has to be learned for it.

Source: Park et al. 2019, "Relational knowledge distillation", arXiv:1904.05068, equations 5 to 10.
Means over pairs and triples of distinct examples; the authors' code also counts those that are
not, whose difference is 0, and so has (N - 1) / N and (N - 1) (N - 2) / N^2 of these values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lwlab.distill.features.shapes import check_features

__all__ = ["angle_loss", "distance_loss"]

_SMALLEST = 1e-12


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the Huber loss of the relative distances, the mean over pairs of examples.

    Args:
        student: ``(N, D)`` or ``(N, C, H, W)``, which is flattened; N of at least 2.
        teacher: as many examples, of the same number of dimensions; no gradient reaches it.

    Raises:
        TypeError, ValueError: the features do not go together.
    """
    student, teacher = _points(student, teacher, 2, "a distance")
    return F.smooth_l1_loss(_relative_distances(student), _relative_distances(teacher))


def _relative_distances(points: Tensor) -> Tensor:
    distances = F.pdist(points)  # (N (N - 1) / 2,), with the gradient 0 for equal points
    return distances / distances.mean().clamp(min=_SMALLEST)


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the Huber loss of the cosines of all angles, the mean over triples of examples.

    The memory grows with ``N^2 D + N^3``: name a late, small layer.

    Args:
        student: as for ``distance_loss``; N of at least 3.
        teacher: as for ``distance_loss``.

    Raises:
        TypeError, ValueError: the features do not go together.
    """
    student, teacher = _points(student, teacher, 3, "an angle")
    count = len(student)
    gaps = F.smooth_l1_loss(_cosines(student), _cosines(teacher), reduction="none")
    # Where j is i or k there is no direction, and so no gap; i = k is left out here.
    gaps = gaps.masked_fill(torch.eye(count, dtype=torch.bool, device=gaps.device), 0)
    return gaps.sum() / (count * (count - 1) * (count - 2))


def _cosines(points: Tensor) -> Tensor:
    """Return ``(N, N, N)``: at ``[j, i, k]`` the cosine of the angle at j from i to k."""
    directions = F.normalize(points.unsqueeze(0) - points.unsqueeze(1), dim=2, eps=_SMALLEST)
    return directions @ directions.transpose(1, 2)


def _points(
    student: Tensor, teacher: Tensor, smallest: int, relation: str
) -> tuple[Tensor, Tensor]:
    check_features(student, teacher)
    if len(student) < smallest:
        raise ValueError(
            f"features must be of at least {smallest} examples to have {relation}, got "
            f"{len(student)}."
        )
    return student.flatten(1), teacher.detach().flatten(1)

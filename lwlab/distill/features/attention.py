"""Attention transfer: where the student looks shall be where the teacher looks.

    map(F) = sum over channels of |F|^p,  one number a position, then divided by its length

A map has no channels any more: student and teacher may have different numbers of them, and nothing
has to be learned to compare the two.

Source: Zagoruyko & Komodakis 2017, "Paying more attention to attention", arXiv:1612.03928,
section 3.1.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lwlab.checks import check_number
from lwlab.distill.features.shapes import check_features, common_size

__all__ = ["attention_loss", "attention_map"]


def attention_map(features: Tensor, power: float = 2.0) -> Tensor:
    """Return the attention of each example, ``(N, H, W)``, of length 1 over all positions.

    An example whose features are all 0 has a map of zeros.

    Args:
        features: ``(N, C, H, W)``.
        power: p, at least 1; a higher one weighs the strongest channels more.

    Raises:
        TypeError, ValueError: an argument is of another form.
    """
    power = check_number("power", power, minimum=1)
    if not isinstance(features, Tensor) or features.ndim != 4:
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(
            f"features must have shape (N, C, H, W) to have an attention map, got {got}. "
            f"Name a convolution."
        )
    sums = features.abs().pow(power).sum(dim=1)
    return F.normalize(sums.flatten(1), dim=1).view_as(sums)


def attention_loss(student: Tensor, teacher: Tensor, *, power: float = 2.0) -> Tensor:
    """Return the mean square difference of the attention maps, over examples and positions.

    Maps of two sizes are compared at the smaller one. The square and the mean are those of the
    authors' code, which weighs this by 1,000; the paper writes the length of the difference.

    Args:
        student: ``(N, C, H, W)``.
        teacher: ``(N, C', H', W')``; no gradient reaches it.
        power: as for ``attention_map``.

    Raises:
        TypeError, ValueError: an argument is of another form.
    """
    check_features(student, teacher)
    student, teacher = common_size(student, teacher.detach())
    return F.mse_loss(attention_map(student, power), attention_map(teacher, power))

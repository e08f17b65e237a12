"""The loss of distillation, and its simpler forerunner: match the logits.

    loss = (1 - alpha) * CE(student, targets) + alpha * T^2 * KL(teacher_T || student_T)

    KL(p || q) = sum over classes of  p log(p / q),  the mean over the examples

The gradient of the second term for one logit of the student is ``alpha * T * (q - p) / N``, with p
and q softened by T. For a high temperature ``q - p`` is about ``(z_student - z_teacher) / (C T)``:
the factor T^2 makes the pull of the teacher independent of T, so that alpha keeps its meaning while
the temperature is moved.

All are pure functions of tensors. ``Distillation`` wraps them as a loss for ``train.fit``.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lwlab.checks import check_fraction
from lwlab.distill.logits import check_labels, check_logits, check_pair
from lwlab.distill.softening import check_temperature
from lwlab.train.choices import labelled_cross_entropy

__all__ = ["distillation_loss", "hard_loss", "logit_matching_loss", "soft_loss"]


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor | None = None,
    *,
    temperature: float = 4.0,
    alpha: float = 0.9,
) -> Tensor:
    """Return ``(1 - alpha) * hard_loss + alpha * soft_loss``, a differentiable scalar.

    No gradient reaches the teacher.

    Args:
        student_logits: ``(N, C)``.
        teacher_logits: ``(N, C)``, for the same examples and classes.
        targets: int64 ``(N,)``; -1 for an example without a label, which has no hard term. None:
            no example has one.
        temperature: T, above 0; it softens both networks in the soft term. The hard term has T = 1.
        alpha: weight of the soft term, in [0, 1]. 0 is training without a teacher.

    Raises:
        TypeError, ValueError: an argument is of another form, the classes differ, or probabilities
            came for logits.

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2.
    """
    alpha = check_fraction("alpha", alpha, allow_one=True)
    soft = alpha * soft_loss(student_logits, teacher_logits, temperature=temperature)
    if targets is None:
        return soft
    return (1 - alpha) * hard_loss(student_logits, targets) + soft


def soft_loss(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Return ``T^2 * KL(teacher_T || student_T)``: summed over classes, the mean over examples.

    Args:
        student_logits: as for ``distillation_loss``.
        teacher_logits: as for ``distillation_loss``.
        temperature: as for ``distillation_loss``.

    Raises:
        TypeError, ValueError: as for ``distillation_loss``.
    """
    temperature = check_temperature(temperature)
    student_logits, teacher_logits = check_pair(student_logits, teacher_logits)
    student = F.log_softmax(student_logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=1)
    # F.kl_div takes the approximation first: its arguments are (log q, log p) for KL(p || q).
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def hard_loss(student_logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy over the examples that have a label; 0 where none has.

    Args:
        student_logits: ``(N, C)``.
        targets: int64 ``(N,)``; -1 for an example without a label.

    Raises:
        TypeError, ValueError: an argument is of another form.
    """
    check_labels(targets, check_logits("student_logits", student_logits))
    return labelled_cross_entropy(student_logits, targets)


def logit_matching_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the mean square difference of the logits, over examples and classes.

    For logits whose rows have mean 0, ``soft_loss`` tends to half of this as the temperature grows.
    Unlike a softmax it sees a constant added to all logits of an example.

    Args:
        student_logits: ``(N, C)``.
        teacher_logits: ``(N, C)``.

    Raises:
        TypeError, ValueError: as for ``distillation_loss``.

    Source: Ba & Caruana 2014, "Do deep nets really need to be deep?", arXiv:1312.6184, equation 2,
    who sum over the classes and halve: C / 2 times this value.
    """
    return F.mse_loss(*check_pair(student_logits, teacher_logits))

"""Decoupled distillation: the target class and the other classes, weighed apart.

The divergence of distillation is a sum of two questions. How sure is the teacher of the target
class t, and how does it rank the others among themselves?

    KL(p || q) = KL(b_p || b_q) + (1 - p_t) * KL(o_p || o_q)

with b = (p_t, 1 - p_t), and o the probabilities of the other classes divided by their sum. The
surer the teacher, the smaller ``1 - p_t``: plain distillation mutes the ranking where the teacher
knows best. Here it gets a weight of its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lwlab.checks import check_number
from lwlab.distill.logits import check_labels, check_pair
from lwlab.distill.softening import check_temperature

__all__ = ["decoupled_loss"]


def decoupled_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 4.0,
    target_weight: float = 1.0,
    other_weight: float = 8.0,
) -> Tensor:
    """Return ``T^2 * (target_weight * KL(b_p || b_q) + other_weight * KL(o_p || o_q))``.

    Mean over the examples; p is the teacher's, q the student's, both softened by T. The hard term
    is not in it.

    Args:
        student_logits: ``(N, C)``.
        teacher_logits: ``(N, C)``.
        targets: int64 ``(N,)``. An example without a label (-1) is split at the teacher's own
            first choice, which the paper does not treat.
        temperature: T, above 0.
        target_weight: at least 0; alpha in the paper, 1 there throughout.
        other_weight: at least 0; beta in the paper, 1 to 10 there.

    Raises:
        TypeError, ValueError: an argument is of another form, the classes differ, or probabilities
            came for logits.

    Source: Zhao et al. 2022, "Decoupled knowledge distillation", arXiv:2203.08679, equation 7.
    """
    temperature = check_temperature(temperature)
    target_weight = check_number("target_weight", target_weight, minimum=0)
    other_weight = check_number("other_weight", other_weight, minimum=0)
    student_logits, teacher_logits = check_pair(student_logits, teacher_logits)
    check_labels(targets, student_logits)
    targets = torch.where(targets < 0, teacher_logits.argmax(dim=1), targets)
    q_binary, q_others = _split(student_logits / temperature, targets)
    p_binary, p_others = _split(teacher_logits / temperature, targets)
    target_term = F.kl_div(q_binary, p_binary, reduction="batchmean", log_target=True)
    other_term = F.kl_div(q_others, p_others, reduction="batchmean", log_target=True)
    return temperature**2 * (target_weight * target_term + other_weight * other_term)


def _split(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithms of b, ``(N, 2)``, and of o, ``(N, C - 1)``."""
    is_target = F.one_hot(targets, logits.shape[1]).bool()
    of_target = logits[is_target].unsqueeze(1)
    of_others = logits[~is_target].view(len(logits), -1)
    # 1 - p_t as a sum over the others: the subtraction would lose a teacher that is nearly sure.
    binary = torch.cat([of_target, of_others.logsumexp(dim=1, keepdim=True)], dim=1)
    return F.log_softmax(binary, dim=1), F.log_softmax(of_others, dim=1)

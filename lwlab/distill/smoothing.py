"""Label smoothing: soft targets without a teacher, the control that distillation has to beat.

A part ``amount`` of each label is spread over all classes alike:

    target_i = (1 - amount) * [i is the label] + amount / C

It softens as a teacher does, and knows nothing of which classes resemble each other.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lwlab.checks import check_fraction
from lwlab.data.dataset import UNLABELLED
from lwlab.distill.logits import check_labels, check_logits

__all__ = ["label_smoothing_loss"]


def label_smoothing_loss(student_logits: Tensor, targets: Tensor, *, amount: float = 0.1) -> Tensor:
    """Return the mean cross-entropy against smoothed labels, over the examples that have one.

    ``(1 - amount) * CE(label) + amount * mean over classes of -log q``; 0 where no example has a
    label.

    Args:
        student_logits: ``(N, C)``.
        targets: int64 ``(N,)``; -1 for an example without a label.
        amount: in [0, 1]; 0 is plain cross-entropy, 1 ignores the labels.

    Raises:
        TypeError, ValueError: an argument is of another form.

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision",
    arXiv:1512.00567, section 7.
    """
    amount = check_fraction("amount", amount, allow_one=True)
    check_labels(targets, check_logits("student_logits", student_logits))
    labelled = targets != UNLABELLED
    log_probabilities = F.log_softmax(student_logits, dim=1)
    # clamp: the row of an unlabelled example is read anywhere and dropped.
    of_label = log_probabilities.gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)
    each = -(1 - amount) * of_label - amount * log_probabilities.mean(dim=1)
    return each[labelled].sum() / labelled.sum().clamp(min=1)

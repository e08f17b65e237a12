import re

import pytest
import torch

from lwlab.distill.correlation import correlation_loss
from lwlab.distill.decoupled import decoupled_loss
from lwlab.distill.logits import check_labels, check_pair
from lwlab.distill.losses import distillation_loss, hard_loss, logit_matching_loss
from lwlab.distill.smoothing import label_smoothing_loss

TARGETS = torch.tensor([0, 1, 2, 0])
PAIRED = {
    "distillation": lambda student, teacher: distillation_loss(student, teacher, TARGETS),
    "matching": logit_matching_loss,
    "decoupled": lambda student, teacher: decoupled_loss(student, teacher, TARGETS),
    "correlation": correlation_loss,
}
LABELLED = {
    "hard": hard_loss,
    "smoothing": label_smoothing_loss,
    "distillation": lambda student, targets: distillation_loss(student, student, targets),
    "decoupled": lambda student, targets: decoupled_loss(student, student, targets),
}


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def logits(seed=0, count=4, classes=3):
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("loss", PAIRED.values(), ids=PAIRED)
def test_every_loss_of_two_networks_refuses_what_does_not_fit_together(loss):
    with says(
        ValueError,
        "teacher_logits must have one column for each of the student's 3 classes, got 7. "
        "Both networks must tell the same classes apart, in the same order.",
    ):
        loss(logits(), logits(classes=7))
    with says(
        ValueError, "teacher_logits must answer each of the student's 4 examples, got 1 rows."
    ):
        loss(logits(), logits(count=1))
    with says(
        ValueError,
        "teacher_logits must be logits, got probabilities: no value below 0, and rows that sum to "
        "1. Let the teacher return what it has before its softmax.",
    ):
        loss(logits(), logits(1).softmax(1))
    with says(
        ValueError,
        "student_logits must be logits, got probabilities: no value below 0, and rows that sum to "
        "1. Let the student return what it has before its softmax.",
    ):
        loss(logits().softmax(1), logits(1))
    with says(
        TypeError,
        "teacher_logits must be floating-point logits of shape (N, classes), got tuple.",
    ):
        loss(logits(), (1, 2))


@pytest.mark.parametrize("loss", LABELLED.values(), ids=LABELLED)
def test_every_loss_with_targets_refuses_those_that_do_not_fit(loss):
    with says(ValueError, "targets must be from 0 to 2, or -1 for an unlabelled example, got 3."):
        loss(logits(), torch.tensor([0, 1, 3, 0]))
    with says(
        ValueError, "targets must be from 0 to 2, or -1 for an unlabelled example, got -100."
    ):
        loss(logits(), torch.tensor([0, 1, -100, 0]))
    with says(ValueError, "targets must have shape (4,), one class per example, got (4, 3)."):
        loss(logits(), torch.zeros(4, 3, dtype=torch.int64))
    with says(TypeError, "targets must be an int64 tensor of classes, got torch.float32."):
        loss(logits(), torch.zeros(4))
    with says(TypeError, "targets must be an int64 tensor of classes, got list."):
        loss(logits(), [0, 1, 2, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_probabilities_are_known_in_any_precision(dtype):
    with pytest.raises(ValueError, match="got probabilities"):
        check_pair(logits(2, 50, 100).to(dtype), logits(1, 50, 100).softmax(1).to(dtype))


def test_positive_logits_and_logits_that_sum_to_one_are_no_probabilities():
    positive = torch.tensor([[0.5, 3.0], [2.0, 1.0]])
    sum_to_one = torch.tensor([[-1.0, 2.0], [0.5, 0.5]])
    for values in (positive, sum_to_one):
        assert torch.equal(check_pair(values, values)[1], values)


def test_labels_may_be_missing():
    targets = torch.tensor([-1, 2, -1, 0])
    assert check_labels(targets, logits()) is targets

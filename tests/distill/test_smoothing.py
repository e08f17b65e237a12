import math
import re

import pytest
import torch
import torch.nn.functional as F

from lwlab.distill.smoothing import label_smoothing_loss


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def logits(seed=0, count=6, classes=4):
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))


def test_two_classes_worked_by_hand():
    # q = (0.8, 0.2), label 0, amount 0.2: target (0.9, 0.1)
    student = torch.tensor([[math.log(4), 0.0]])
    expected = -0.9 * math.log(0.8) - 0.1 * math.log(0.2)
    loss = label_smoothing_loss(student, torch.tensor([0]), amount=0.2)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.7, 1.0])
def test_it_equals_torchs_own(amount):
    targets = torch.tensor([0, 1, 2, 3, -1, 0])
    ours = label_smoothing_loss(logits(), targets, amount=amount)
    theirs = F.cross_entropy(logits(), targets, label_smoothing=amount, ignore_index=-1)
    torch.testing.assert_close(ours, theirs)


def test_without_any_label_it_is_zero_and_can_still_be_derived():
    student = logits().requires_grad_()
    loss = label_smoothing_loss(student, torch.full((6,), -1))
    loss.backward()
    assert loss.item() == 0
    assert not student.grad.any()


def test_an_amount_out_of_range_gets_one_sentence():
    with says(ValueError, "amount must be a fraction in [0, 1], got 10.0. Did you mean 0.1?"):
        label_smoothing_loss(logits(), torch.zeros(6, dtype=torch.int64), amount=10)

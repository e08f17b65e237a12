import re

import numpy as np
import pytest
import torch

from lwlab.distill.correlation import correlation_loss


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def logits(seed, count=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, classes, generator=generator, dtype=torch.float64)


def by_hand(student, teacher, temperature, inter_weight, intra_weight):
    q, p = (np.exp(x.numpy() / temperature) for x in (student, teacher))
    q, p = (x / x.sum(1, keepdims=True) for x in (q, p))
    rows = [np.corrcoef(q[i], p[i])[0, 1] for i in range(len(q))]
    columns = [np.corrcoef(q[:, c], p[:, c])[0, 1] for c in range(q.shape[1])]
    inter, intra = 1 - np.mean(rows), 1 - np.mean(columns)
    return temperature**2 * (inter_weight * inter + intra_weight * intra)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 0.0), (0.0, 3.0)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_equals_numpys_correlation_of_rows_and_columns(weights, temperature):
    loss = correlation_loss(
        logits(1),
        logits(2),
        temperature=temperature,
        inter_weight=weights[0],
        intra_weight=weights[1],
    )
    expected = by_hand(logits(1), logits(2), temperature, *weights)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_two_classes_worked_by_hand():
    # Of two classes a row is up or down: correlation 1 where both agree, -1 where not. One of
    # two rows agrees: 1 - 0 = 1. A column of two examples likewise; both columns move the
    # opposite way: 1 + 1 = 2.
    student = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    teacher = torch.tensor([[-1.0, 0.0], [3.0, 0.0]])
    assert float(correlation_loss(student, teacher, intra_weight=0.0)) == pytest.approx(1, abs=1e-5)
    assert float(correlation_loss(student, teacher, inter_weight=0.0)) == pytest.approx(2, abs=1e-5)


def test_agreement_is_free_and_a_less_sure_student_still_agrees():
    teacher = logits(2)
    assert float(correlation_loss(teacher, teacher)) == pytest.approx(0, abs=1e-6)
    # Halfway between the teacher's answer and "all alike": a stretch of every row and column.
    blurred = (0.5 * teacher.softmax(1) + 0.5 / 5).log()
    assert float(correlation_loss(blurred, teacher)) == pytest.approx(0, abs=1e-6)


def test_a_constant_answer_has_no_correlation_and_a_finite_gradient():
    student = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
    loss = correlation_loss(student, logits(2, count=4))
    loss.backward()
    assert loss.item() == pytest.approx(2)
    assert torch.isfinite(student.grad).all()


def test_no_gradient_reaches_the_teacher():
    student, teacher = logits(1).requires_grad_(), logits(2).requires_grad_()
    correlation_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_mistakes_get_one_sentence():
    with says(
        ValueError,
        "student_logits must hold at least 2 examples to correlate those of a class, got 1.",
    ):
        correlation_loss(logits(1, count=1), logits(2, count=1))
    for name in ("inter_weight", "intra_weight"):
        sentence = f"{name} must be a finite number of at least 0, got -1.0."
        with says(ValueError, sentence):
            correlation_loss(logits(1), logits(2), **{name: -1})
    with says(ValueError, "temperature must be a finite number above 0, got 0.0."):
        correlation_loss(logits(1), logits(2), temperature=0)

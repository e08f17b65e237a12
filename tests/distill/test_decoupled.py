import math
import re

import numpy as np
import pytest
import torch

from lwlab.distill.decoupled import decoupled_loss
from lwlab.distill.losses import soft_loss


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def logits(seed, count=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(count, classes, generator=generator, dtype=torch.float64)


def divergence(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def by_hand(student, teacher, targets, temperature, target_weight, other_weight):
    total = 0.0
    for z, v, t in zip(student.numpy(), teacher.numpy(), targets, strict=True):
        q, p = (np.exp(x / temperature) / np.exp(x / temperature).sum() for x in (z, v))
        total += target_weight * divergence((p[t], 1 - p[t]), (q[t], 1 - q[t]))
        o_p, o_q = (np.delete(x, t) / (1 - x[t]) for x in (p, q))
        total += other_weight * divergence(o_p, o_q)
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("weights", [(1.0, 8.0), (0.0, 1.0), (2.0, 0.0)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_equals_the_published_formula_in_numpy(weights, temperature):
    targets = [0, 1, 2, 3, 4, 0]
    loss = decoupled_loss(
        logits(1),
        logits(2),
        torch.tensor(targets),
        temperature=temperature,
        target_weight=weights[0],
        other_weight=weights[1],
    )
    expected = by_hand(logits(1), logits(2), targets, temperature, *weights)
    assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_three_classes_worked_by_hand():
    # Teacher (1/2, 3/8, 1/8), student (1/2, 1/4, 1/4), target 0: the binary parts are equal;
    # others (3/4, 1/4) against (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2 = 0.130812
    teacher = torch.tensor([[0.5, 0.375, 0.125]]).log()
    student = torch.tensor([[0.5, 0.25, 0.25]]).log()
    loss = decoupled_loss(student, teacher, torch.tensor([0]), temperature=1.0, other_weight=2.0)
    assert float(loss) == pytest.approx(2 * 0.130812, abs=1e-5)


def test_with_the_weight_that_plain_distillation_gives_the_others_it_is_plain_distillation():
    student, teacher, temperature = logits(1, count=1), logits(2, count=1), 3.0
    p_target = float((teacher / temperature).softmax(1)[0, 2])
    loss = decoupled_loss(
        student, teacher, torch.tensor([2]), temperature=temperature, other_weight=1 - p_target
    )
    torch.testing.assert_close(loss, soft_loss(student, teacher, temperature=temperature))


def test_an_unlabelled_example_is_split_at_the_teachers_first_choice():
    teacher = logits(2)
    pseudo = teacher.argmax(1)
    some = torch.where(torch.arange(6) < 3, pseudo, -1)
    assert torch.equal(
        decoupled_loss(logits(1), teacher, some), decoupled_loss(logits(1), teacher, pseudo)
    )


def test_a_teacher_that_is_quite_sure_gives_finite_numbers_and_gradients():
    teacher = torch.tensor([[300.0, 0.0, -50.0]])
    student = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    loss = decoupled_loss(student, teacher, torch.tensor([0]), temperature=1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_two_classes_have_no_others_to_rank():
    student, teacher = logits(1, classes=2), logits(2, classes=2)
    targets = torch.zeros(6, dtype=torch.int64)
    torch.testing.assert_close(
        decoupled_loss(student, teacher, targets), soft_loss(student, teacher, temperature=4.0)
    )


def test_no_gradient_reaches_the_teacher():
    student, teacher = logits(1).requires_grad_(), logits(2).requires_grad_()
    decoupled_loss(student, teacher, torch.zeros(6, dtype=torch.int64)).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_weights_and_temperatures_out_of_range_get_one_sentence():
    targets = torch.zeros(6, dtype=torch.int64)
    for name in ("target_weight", "other_weight"):
        sentence = f"{name} must be a finite number of at least 0, got -1.0."
        with says(ValueError, sentence):
            decoupled_loss(logits(1), logits(2), targets, **{name: -1})
    with says(ValueError, "temperature must be a finite number above 0, got -2.0."):
        decoupled_loss(logits(1), logits(2), targets, temperature=-2)

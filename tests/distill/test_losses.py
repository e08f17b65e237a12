import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lwlab.distill.losses import (
    distillation_loss,
    hard_loss,
    logit_matching_loss,
    soft_loss,
)


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def logits(seed, count=8, classes=5, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, classes, generator=generator, dtype=torch.float64)


def numpy_probabilities(values, temperature):
    scaled = np.exp(values / temperature)
    return scaled / scaled.sum(axis=1, keepdims=True)


def numpy_distillation(student, teacher, targets, temperature, alpha):
    """The published formula, example by example and class by class."""
    q, p = (numpy_probabilities(v.numpy(), temperature) for v in (student, teacher))
    q_hard = numpy_probabilities(student.numpy(), 1.0)
    hard, soft = [], 0.0
    for row, target in enumerate(targets.tolist()):
        soft += sum(p[row, c] * math.log(p[row, c] / q[row, c]) for c in range(p.shape[1]))
        if target >= 0:
            hard.append(-math.log(q_hard[row, target]))
    hard_mean = sum(hard) / len(hard) if hard else 0.0
    return (1 - alpha) * hard_mean + alpha * temperature**2 * soft / len(targets)


# What is often written instead. Each criterion below accepts ours and rejects one of these.


def without_t_squared(student, teacher, temperature):
    return F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.softmax(teacher / temperature, dim=1),
        reduction="batchmean",
    )


def with_t_alone(student, teacher, temperature):
    return temperature * without_t_squared(student, teacher, temperature)


def averaged_over_classes(student, teacher, temperature):
    return ours(student, teacher, temperature) / student.shape[1]


def summed_over_the_batch(student, teacher, temperature):
    return len(student) * ours(student, teacher, temperature)


def swapped(student, teacher, temperature):
    return ours(teacher, student, temperature)


def student_not_softened(student, teacher, temperature):
    return temperature**2 * F.kl_div(
        F.log_softmax(student, dim=1),
        F.softmax(teacher / temperature, dim=1),
        reduction="batchmean",
    )


def probabilities_for_their_logarithm(student, teacher, temperature):
    return temperature**2 * F.kl_div(
        F.softmax(student / temperature, dim=1),
        F.softmax(teacher / temperature, dim=1),
        reduction="batchmean",
    )


def ours(student, teacher, temperature):
    return soft_loss(student, teacher, temperature=temperature)


def pull(loss, temperature):
    student = logits(1).requires_grad_()
    loss(student, logits(2), temperature).backward()
    return float(student.grad.norm())


def pull_is_independent_of_the_temperature(loss):
    return pull(loss, 200.0) == pytest.approx(pull(loss, 50.0), rel=0.05)


def a_class_that_nobody_believes_in_changes_nothing(loss):
    unheard_of = torch.full((8, 20), -500.0, dtype=torch.float64)
    wider = [torch.cat([logits(seed), unheard_of], dim=1) for seed in (1, 2)]
    return float(loss(*wider, 2.0)) == pytest.approx(float(loss(logits(1), logits(2), 2.0)))


def the_same_batch_twice_has_the_same_loss(loss):
    twice = [logits(seed).repeat(2, 1) for seed in (1, 2)]
    return float(loss(*twice, 2.0)) == pytest.approx(float(loss(logits(1), logits(2), 2.0)))


def the_teacher_comes_first(loss):
    """KL((0.9, 0.1) || (0.5, 0.5)) = 0.9 ln 1.8 + 0.1 ln 0.2 = 0.3681, the other way 0.5108."""
    sure, unsure = torch.tensor([[math.log(9), 0.0]]), torch.zeros(1, 2)
    return float(loss(unsure, sure, 1.0)) == pytest.approx(0.368064, abs=1e-5)


def a_student_that_has_learned_its_lesson_pays_nothing(loss):
    return float(loss(logits(2), logits(2), 3.0)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("criterion", "wrong_ones"),
    [
        (pull_is_independent_of_the_temperature, [without_t_squared, with_t_alone]),
        (a_class_that_nobody_believes_in_changes_nothing, [averaged_over_classes]),
        (the_same_batch_twice_has_the_same_loss, [summed_over_the_batch]),
        (the_teacher_comes_first, [swapped, probabilities_for_their_logarithm]),
        (
            a_student_that_has_learned_its_lesson_pays_nothing,
            [student_not_softened, probabilities_for_their_logarithm],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_property_holds_for_ours_and_not_for_the_classical_wrong_version(
    criterion, wrong_ones
):
    assert criterion(ours)
    for wrong in wrong_ones:
        assert not criterion(wrong), wrong.__name__


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_equals_an_independent_computation_in_numpy(temperature, alpha):
    student, teacher = logits(3), logits(4)
    targets = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    loss = distillation_loss(student, teacher, targets, temperature=temperature, alpha=alpha)
    expected = numpy_distillation(student, teacher, targets, temperature, alpha)
    assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_two_classes_worked_by_hand_with_alpha_on_the_soft_term():
    # Teacher (0.9, 0.1) at T = 2, student (0.5, 0.5), target 0:
    # 0.75 * ln 2 + 0.25 * 4 * 0.368064
    teacher = torch.tensor([[2 * math.log(9), 0.0]])
    loss = distillation_loss(
        torch.zeros(1, 2), teacher, torch.tensor([0]), temperature=2.0, alpha=0.25
    )
    assert float(loss) == pytest.approx(0.75 * 0.693147 + 0.25 * 4 * 0.368064, abs=1e-5)


def test_alpha_zero_is_cross_entropy_and_alpha_one_does_not_see_the_targets():
    student, teacher, targets = logits(1), logits(2), torch.arange(8) % 5
    hard = distillation_loss(student, teacher, targets, alpha=0)
    assert torch.equal(hard, F.cross_entropy(student, targets))
    soft = distillation_loss(student, teacher, targets, alpha=1)
    assert torch.equal(soft, distillation_loss(student, teacher, (targets + 1) % 5, alpha=1))


def test_the_gradient_is_the_one_of_the_paper():
    student, teacher, temperature = logits(1).requires_grad_(), logits(2), 3.0
    soft_loss(student, teacher, temperature=temperature).backward()
    q, p = ((z / temperature).softmax(1) for z in (student.detach(), teacher))
    torch.testing.assert_close(student.grad, temperature * (q - p) / 8)


def test_no_gradient_reaches_the_teacher():
    student, teacher = logits(1).requires_grad_(), logits(2).requires_grad_()
    loss = distillation_loss(student, teacher, torch.zeros(8, dtype=torch.int64))
    loss = loss + logit_matching_loss(student, teacher)
    loss.backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_unlabelled_examples_have_a_soft_term_alone_and_the_hard_mean_runs_over_the_others():
    student, teacher = logits(5), logits(6)
    targets = torch.tensor([-1, 2, -1, -1, 4, -1, -1, -1])
    loss = distillation_loss(student, teacher, targets, temperature=2.0, alpha=0.4)
    expected = numpy_distillation(student, teacher, targets, 2.0, 0.4)
    assert float(loss) == pytest.approx(expected, rel=1e-9)
    by_hand = F.cross_entropy(student[[1, 4]], targets[[1, 4]])
    torch.testing.assert_close(hard_loss(student, targets), by_hand)


def test_without_any_label_the_hard_term_is_zero_and_can_still_be_derived():
    student, none = logits(5).requires_grad_(), torch.full((8,), -1)
    hard = hard_loss(student, none)
    hard.backward()
    assert hard.item() == 0
    assert torch.equal(student.grad, torch.zeros(8, 5).double())
    without = distillation_loss(student, logits(6))
    assert torch.equal(without, distillation_loss(student, logits(6), none))


def test_matching_logits_worked_by_hand():
    # squares 1, 4, 9, 0: mean 3.5
    student = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    teacher = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    assert float(logit_matching_loss(student, teacher)) == 3.5


def test_a_high_temperature_makes_the_soft_term_half_of_logit_matching():
    student, teacher = (z - z.mean(1, keepdim=True) for z in (logits(1), logits(2)))
    soft = soft_loss(student, teacher, temperature=1e4)
    assert float(soft) == pytest.approx(float(logit_matching_loss(student, teacher)) / 2, rel=1e-3)


def test_logarithms_of_probabilities_are_logits():
    student, teacher = logits(1), logits(2)
    expected = soft_loss(student, teacher, temperature=4.0)
    torch.testing.assert_close(
        soft_loss(student, teacher.log_softmax(1), temperature=4.0), expected
    )


def test_settings_out_of_range_get_one_sentence():
    student, teacher, targets = logits(1), logits(2), torch.zeros(8, dtype=torch.int64)
    with says(ValueError, "temperature must be a finite number above 0, got 0.0."):
        distillation_loss(student, teacher, targets, temperature=0)
    with says(ValueError, "alpha must be a fraction in [0, 1], got 1.5."):
        distillation_loss(student, teacher, targets, alpha=1.5)
    with says(ValueError, "alpha must be a fraction in [0, 1], got 90.0. Did you mean 0.9?"):
        distillation_loss(student, teacher, targets, alpha=90)

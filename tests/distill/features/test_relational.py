import itertools
import math
import re

import numpy as np
import pytest
import torch

from lwlab.distill.features.relational import angle_loss, distance_loss


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def huber(gap):
    return 0.5 * gap * gap if abs(gap) < 1 else abs(gap) - 0.5


def distances_by_hand(points):
    pairs = itertools.combinations(points.numpy(), 2)
    found = [math.dist(one, other) for one, other in pairs]
    return [value / np.mean(found) for value in found]


def cosines_by_hand(points):
    found = []
    for f_i, f_j, f_k in itertools.permutations(points.numpy(), 3):
        one, other = f_i - f_j, f_k - f_j
        found.append(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return found


def by_hand(relation, student, teacher):
    pairs = zip(relation(student), relation(teacher), strict=True)
    return np.mean([huber(ours - theirs) for ours, theirs in pairs])


def test_distances_of_a_worked_case():
    # Student 1, 1, 2 and teacher 2, 1, 3 (mean 4/3 and 2): 0.75, 0.75, 1.5 and 1, 0.5, 1.5.
    student = torch.tensor([[0.0], [1.0], [2.0]])[[1, 0, 2]]
    teacher = torch.tensor([[0.0], [2.0], [-1.0]])
    assert distance_loss(student, teacher) == pytest.approx((0.5 * 0.25**2) * 2 / 3)


def test_angles_of_a_worked_case():
    # A right angle with two of 45 degrees, against a straight line: cosines 0, s, s and -1, 1, 1.
    student = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    teacher = torch.tensor([[-1.0], [0.0], [1.0]])
    s = 0.5**0.5
    wanted = (huber(1) + 2 * huber(1 - s)) / 3
    assert angle_loss(student, teacher) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("loss", "relation"), [(distance_loss, distances_by_hand), (angle_loss, cosines_by_hand)]
)
def test_the_loss_equals_the_formula_pair_by_pair(loss, relation):
    student, teacher = features(6, 3), features(6, 5, seed=1)
    assert loss(student, teacher).item() == pytest.approx(by_hand(relation, student, teacher))


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_what_keeps_the_relations_costs_nothing(loss):
    teacher = features(6, 3)
    turn = torch.linalg.qr(features(3, 3, seed=2)).Q
    assert loss(5 * teacher @ turn + 7, teacher).item() == pytest.approx(0, abs=1e-12)
    assert loss(features(6, 3, seed=1), teacher) > 1e-3


def test_images_are_compared_as_one_row_of_numbers():
    student, teacher = features(4, 2, 3, 3), features(4, 5, 1, 1, seed=1)
    for loss in (distance_loss, angle_loss):
        assert torch.equal(loss(student, teacher), loss(student.flatten(1), teacher.flatten(1)))


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_equal_points_give_finite_gradients_and_none_reach_the_teacher(loss):
    student = torch.zeros(5, 3, requires_grad=True)
    teacher = features(5, 3).float().requires_grad_()
    value = loss(student, teacher)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(student.grad).all()
    assert teacher.grad is None


def test_equal_points_have_angles_of_cosine_0():
    teacher = features(5, 3)
    wanted = np.mean([huber(cosine) for cosine in cosines_by_hand(teacher)])
    assert angle_loss(torch.zeros_like(teacher), teacher).item() == pytest.approx(wanted)


def test_too_few_examples_are_told():
    with says(ValueError, "features must be of at least 2 examples to have a distance, got 1."):
        distance_loss(features(1, 3), features(1, 3))
    with says(ValueError, "features must be of at least 3 examples to have an angle, got 2."):
        angle_loss(features(2, 3), features(2, 3))

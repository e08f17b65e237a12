import re

import pytest
import torch
import torch.nn.functional as F

from lwlab.distill.features.attention import attention_loss, attention_map


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def published(student, teacher):
    """The formula of the authors' code, for images of one size."""

    def attention(x):
        return F.normalize(x.pow(2).mean(1).view(x.size(0), -1))

    return (attention(student) - attention(teacher)).pow(2).mean()


def test_a_map_of_a_worked_case():
    # Sums of squares over two channels: 9, 16, 0, 0; length 5 * 5 of (9, 16): sqrt(81 + 256).
    pixels = torch.tensor([[[[0.0, 4.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 0.0]]]])
    wanted = torch.tensor([[[9.0, 16.0], [0.0, 0.0]]]) / 337**0.5
    assert torch.allclose(attention_map(pixels), wanted)
    absolute = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]) / 5
    assert torch.allclose(attention_map(-pixels, power=1), absolute)


def test_a_map_of_zeros_stays_zero():
    assert torch.equal(attention_map(torch.zeros(1, 2, 3, 3)), torch.zeros(1, 3, 3))


def test_the_loss_of_a_worked_case():
    # Maps (1, 0) and (0, 1): squares 1 and 1, the mean over two positions.
    student, teacher = (torch.tensor([[[row]]]) for row in ([2.0, 0.0], [0.0, -7.0]))
    assert attention_loss(student, teacher) == 1


def test_the_loss_is_that_of_the_authors_code():
    student, teacher = features(6, 3, 5, 4), features(6, 8, 5, 4, seed=1)
    assert torch.allclose(attention_loss(student, teacher), published(student, teacher))


@pytest.mark.parametrize("factor", [0.1, -3.0])
def test_the_size_of_the_features_does_not_matter(factor):
    student, teacher = features(6, 3, 5, 4), features(6, 8, 5, 4, seed=1)
    assert torch.allclose(
        attention_loss(factor * student, teacher), attention_loss(student, teacher)
    )
    assert attention_loss(factor * teacher, teacher) == pytest.approx(0, abs=1e-12)


def test_images_of_two_sizes_meet_at_the_smaller_one():
    student = features(2, 3, 2, 2)
    large = student.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert attention_loss(student, large) == pytest.approx(0, abs=1e-12)


def test_no_gradient_reaches_the_teacher():
    student = features(2, 3, 2, 2).requires_grad_()
    teacher = features(2, 3, 2, 2, seed=1).requires_grad_()
    attention_loss(student, teacher).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_what_has_no_map_is_told():
    with says(
        ValueError,
        "features must have shape (N, C, H, W) to have an attention map, got (3, 2). Name a "
        "convolution.",
    ):
        attention_loss(features(3, 2), features(3, 4))
    with says(ValueError, "power must be a finite number of at least 1, got 0.5."):
        attention_map(features(1, 1, 2, 2), power=0.5)

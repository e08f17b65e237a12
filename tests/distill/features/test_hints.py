import re

import pytest
import torch
from torch import nn

from lwlab.distill.features.hints import hint_loss, make_regressor


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_worked_case_without_a_regressor():
    student = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    teacher = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    assert hint_loss(student, teacher) == (0 + 4 + 9 + 0) / 4


def test_a_worked_case_through_a_regressor():
    regressor = nn.Linear(1, 2)
    regressor.weight.data = torch.tensor([[2.0], [0.0]])
    regressor.bias.data = torch.tensor([0.0, 1.0])
    loss = hint_loss(torch.tensor([[3.0]]), torch.tensor([[5.0, 3.0]]), regressor)
    assert loss == (1 + 4) / 2  # (6, 1) against (5, 3)


def test_a_convolution_of_one_pixel_mixes_channels_alone():
    student, teacher = features(3, 2, 4, 4), features(3, 5, 4, 4, seed=1)
    regressor = make_regressor(student, teacher)
    mixed = torch.einsum("nchw,oc->nohw", student, regressor.weight[:, :, 0, 0])
    mixed = mixed + regressor.bias[:, None, None]
    assert torch.allclose(hint_loss(student, teacher, regressor), (mixed - teacher).square().mean())


@pytest.mark.parametrize(("kind", "size"), [(nn.Linear, ()), (nn.Conv2d, (4, 4))])
def test_the_regressor_has_its_seed_and_leaves_the_stream_alone(kind, size):
    student, teacher = features(3, 2, *size), features(3, 5, *size)
    before = torch.get_rng_state()
    one, again, other = (make_regressor(student, teacher, seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(one, kind)
    assert torch.equal(one.weight, again.weight)
    assert not torch.equal(one.weight, other.weight)


def test_images_of_two_sizes_meet_at_the_smaller_one():
    # 2x2 blocks with the means 1, 2, 3, 4.
    large = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    large = (large + torch.tensor([[-0.5, 0.5] * 2] * 4)).view(1, 1, 4, 4)
    small = torch.tensor([[1.0, 2.0], [3.0, 5.0]]).view(1, 1, 2, 2)
    assert hint_loss(large, small) == pytest.approx(1 / 4)
    assert hint_loss(small, large) == pytest.approx(1 / 4)


def test_no_gradient_reaches_the_teacher():
    student, teacher = features(3, 2).requires_grad_(), features(3, 2, seed=1).requires_grad_()
    hint_loss(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_features_that_do_not_go_together_are_told():
    with says(
        ValueError,
        "features of student and teacher must both be (N, D) or both (N, C, H, W), got (3, 2) and "
        "(3, 2, 4, 4). Pair layers of one kind.",
    ):
        make_regressor(features(3, 2), features(3, 2, 4, 4))
    with says(
        ValueError,
        "features of student and teacher must be of the same examples, got (3, 2) and (4, 2).",
    ):
        hint_loss(features(3, 2), features(4, 2))
    with says(
        ValueError,
        "features must have the same shape for a hint, got (3, 2) of the student and (3, 5) of the "
        "teacher. Try make_regressor.",
    ):
        hint_loss(features(3, 2), features(3, 5))
    with says(TypeError, "teacher features must be a floating-point tensor, got torch.int64."):
        hint_loss(features(3, 2), torch.ones(3, 2, dtype=torch.int64))
    with says(TypeError, "student features must be a floating-point tensor, got list."):
        hint_loss([1.0], features(3, 2))

"""Learned activation quantizers alone: values, the gradients of LSQ and PACT, how they start."""

import copy
import math
import re

import pytest
import torch
from torch import nn

from lwlab.quantize.activations import FakeQuantizeActivation
from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.learned_activation import (
    ClipPenalty,
    LearnedClipActivation,
    LearnedStepActivation,
)

KINDS = [LearnedStepActivation, LearnedClipActivation]


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(low=0.0, high=3.0, num_bits=2, *, symmetric=False):
    return FakeQuantizeActivation(low, high, num_bits=num_bits, symmetric=symmetric)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fake", [plain(), plain(-1, 2, 4), plain(-1, 2, 8, symmetric=True), plain(-3, 0, 3)]
)
def test_it_begins_with_the_values_of_the_quantizer_it_takes_the_place_of(kind, fake):
    learned, x = kind(fake).eval(), 2 * numbers(40, 5)
    torch.testing.assert_close(learned.scale, fake.scale)
    ends = {"quant_min": fake.quant_min, "quant_max": fake.quant_max}
    expected = fake_quantize(x, learned.scale, learned.zero_point, **ends)
    assert torch.equal(learned(x), expected)
    assert torch.equal(learned.zero_point, fake.zero_point)
    assert (learned.num_bits, learned.grid) == (fake.num_bits, fake.grid)
    assert isinstance(learned, FakeQuantizeActivation)
    assert not learned.scale.requires_grad


def test_the_first_batch_in_training_sets_the_step_and_no_other_one_does():
    learned, x = LearnedStepActivation(plain()), numbers(40, 5).relu()
    assert float(learned.scale) == pytest.approx(1.0)
    learned.eval()(x)
    with torch.no_grad():
        learned.train()(x)
    assert float(learned.scale) == pytest.approx(1.0)  # measuring changes nothing
    learned(x)
    first = 2 * float(x.mean()) / math.sqrt(3)
    assert float(learned.scale) == pytest.approx(first)
    learned(10 * x)
    assert float(learned.scale) == pytest.approx(first)


def test_a_batch_of_zeros_says_nothing_about_the_step():
    learned = LearnedStepActivation(plain())
    for nothing in (torch.zeros(4, 5), torch.zeros(0, 5)):
        learned(nothing)
    assert not learned.started
    assert float(learned.scale) == pytest.approx(1.0)


def test_the_step_can_start_where_it_is():
    learned = LearnedStepActivation(plain(), start="current")
    learned(numbers(40, 5).relu())
    assert float(learned.scale) == pytest.approx(1.0)


def test_the_gradient_of_the_step_is_the_papers_and_balanced_by_the_values_of_one_example():
    learned = LearnedStepActivation(plain(), start="current")
    x, gradient = 2 * numbers(8, 3, 5), numbers(8, 3, 5, seed=1)
    learned(x).backward(gradient)
    total = 0.0
    for value, weight in zip(x.flatten().tolist(), gradient.flatten().tolist(), strict=True):
        inside = 0 < value < 3
        total += weight * (round(value) - value if inside else min(max(value, 0), 3))
    balance = 1 / math.sqrt(3 * 5 * 3)  # 15 values in an example, last code 3
    assert float(learned.log_step.grad) == pytest.approx(balance * total, rel=1e-4)


def test_the_gradient_of_a_clip_counts_what_lies_above_it_and_nothing_else():
    # Clip 3: -1 and 1.3 give nothing, 3.5 and 9 give their gradients, 10 and 100.
    learned = LearnedClipActivation(plain())
    x = torch.tensor([-1.0, 1.3, 3.5, 9.0], requires_grad=True)
    learned(x).backward(torch.tensor([1.0, 2.0, 10.0, 100.0]))
    assert x.grad.tolist() == [0, 2, 0, 0]
    # The logarithm gets 1 / clip of it, so that descent on it moves the clip as in the paper.
    assert float(learned.log_clip.grad) == pytest.approx(110 / 3)
    lsq = LearnedStepActivation(plain(), start="current")
    lsq(x).backward(torch.tensor([1.0, 2.0, 10.0, 100.0]))
    assert float(lsq.log_step.grad) != pytest.approx(110 / 3)


def test_below_zero_the_other_end_moves_along_with_the_clip():
    # Codes 0 to 15 with zero point 5: from -1 to 2, step 0.2, clip 2.
    learned = LearnedClipActivation(plain(-1.0, 2.0, 4))
    assert int(learned.zero_point) == 5
    assert float(learned.clip.detach()) == pytest.approx(2.0)
    x = torch.tensor([-1.5, 0.3, 2.5])
    learned(x).backward(torch.tensor([8.0, 4.0, 1.0]))
    assert float(learned.log_clip.grad) == pytest.approx((-5 / 10 * 8 + 1) / 2)


def test_plain_descent_moves_a_clip_as_in_the_paper():
    learned, rate = LearnedClipActivation(plain()), 1e-4
    learned(torch.tensor([5.0, 7.0, 1.0])).sum().backward()
    torch.optim.SGD(learned.parameters(), lr=rate).step()
    assert float(learned.clip.detach()) - 3 == pytest.approx(-rate * 2, rel=1e-2)


def test_a_clip_can_start_anew():
    learned = LearnedClipActivation(plain())
    learned.update_(torch.zeros(3))
    learned.update_(torch.zeros(0))
    assert float(learned.clip.detach()) == pytest.approx(3)
    learned.update_(torch.tensor([1.0, -7.0]))
    assert float(learned.clip.detach()) == pytest.approx(7)
    assert float(learned.scale) == pytest.approx(7 / 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("push", [1e6, -1e6])
def test_no_optimizer_makes_a_step_negative_or_infinite(kind, push):
    learned = kind(plain()).eval()
    with torch.no_grad():
        next(learned.parameters()).add_(push)
    assert 0 < float(learned.scale) < math.inf
    assert bool(learned(numbers(10)).isfinite().all())


def test_the_penalty_is_the_strength_times_all_clips_squared():
    model = nn.Sequential(LearnedClipActivation(plain(0, 3)), LearnedClipActivation(plain(0, 5)))
    penalty = ClipPenalty(0.1)(model)
    assert float(penalty.detach()) == pytest.approx(0.1 * (9 + 25))
    penalty.backward()
    # d / d clip = 2 * 0.1 * 3, handed on by 1 / clip.
    assert float(model[0].log_clip.grad) == pytest.approx(2 * 0.1)
    assert float(ClipPenalty(0.1)(nn.Linear(2, 2))) == 0


def test_a_penalty_below_zero_is_refused():
    sentence = "strength must be a finite number of at least 0, got -1.0."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        ClipPenalty(-1)


def test_an_unknown_start_is_refused():
    sentence = "start must be one of 'mean' or 'current', got 'mena'. Did you mean 'mean'?"
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        LearnedStepActivation(plain(), start="mena")


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_independent_and_a_state_dict_comes_back(kind):
    learned, x = kind(plain()), numbers(40, 5).relu()
    learned(x)
    twin, other = copy.deepcopy(learned), kind(plain(0, 9))
    with torch.no_grad():
        next(twin.parameters()).add_(1)
    assert not torch.equal(twin.scale, learned.scale)
    other.load_state_dict(learned.state_dict())
    assert torch.equal(other(x), learned(x))  # it does not start once more
    assert torch.equal(other(5 * x), learned(5 * x))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_comes_out_as_it_came_in_and_repr_shows_the_grid(kind):
    learned = kind(plain())
    assert learned.eval()(numbers(4, 5).half()).dtype == torch.float16
    assert repr(learned) == f"{kind.__name__}(2 bits, scale 1, zero 0)"

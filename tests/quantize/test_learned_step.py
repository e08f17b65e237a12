"""LSQ on one weight: values, both gradients against the paper's formula, what the step does."""

import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab.quantize.affine import fake_quantize
from lwlab.quantize.fake import FakeQuantize, make_fake
from lwlab.quantize.granularity import PerChannel, PerGroup, PerTensor
from lwlab.quantize.learned_step import (
    LearnedStep,
    learned_fake_quantize,
    positive_step,
    reach_of,
)
from lwlab.quantize.observers import MinMax, Percentile
from lwlab.quantize.stacking import put_on_top_
from lwlab.quantize.tensor import TERNARY

GRIDS = [(-2, 1, 0), (-8, 7, 0), (0, 3, 0), (0, 255, 90), (-1, 1, 0)]
GRANULARITIES = [PerTensor(), PerChannel(), PerChannel(1), PerGroup(3)]


class Keep(nn.Module):
    """A mask, as pruning puts one on."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0)

    def right_inverse(self, weight):
        return weight


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def learned(weight, num_bits=3, granularity=None, *, start="mean", symmetric=True, rule=None):
    fake = make_fake(
        weight,
        num_bits,
        symmetric,
        granularity=granularity or PerChannel(),
        range_rule=rule or MinMax(),
    )
    return LearnedStep(fake, weight, start=start)


def papers_gradients(x, step, low, high):
    """Equations 3 and 5 of the paper for one value: d x_hat / d x and d x_hat / d s."""
    ratio = x / step
    if ratio <= low:
        return 0.0, low
    if ratio >= high:
        return 0.0, high
    return 1.0, round(ratio) - ratio


def step_gradient(function, x, step, zero_point, ends):
    step = torch.tensor(step, dtype=torch.float64, requires_grad=True)
    function(x, step, torch.tensor(zero_point), **ends).sum().backward()
    return float(step.grad)


@pytest.mark.parametrize(("low", "high", "zero_point"), GRIDS)
def test_values_are_those_of_fake_quantize_bit_for_bit(low, high, zero_point):
    x, step = torch.cat([numbers(4000), torch.tensor([0.0, -0.0, torch.inf])]), torch.tensor(0.07)
    ends = {"quant_min": low, "quant_max": high}
    got = learned_fake_quantize(x, step, torch.tensor(zero_point), **ends)
    expected = fake_quantize(x, step, zero_point, **ends)
    assert torch.equal(got.view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize(("low", "high", "zero_point"), GRIDS)
def test_both_gradients_are_the_papers_value_by_value(low, high, zero_point):
    step, ends = 0.35, {"quant_min": low, "quant_max": high}
    for value in [-9.0, -0.8, -0.6, -0.1, 0.1, 0.3, 0.36, 0.5, 0.9, 2.4, 80.0, 400.0]:
        x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        s = torch.tensor(step, dtype=torch.float64, requires_grad=True)
        learned_fake_quantize(x, s, torch.tensor(zero_point), **ends).backward()
        for_x, for_step = papers_gradients(value, step, low - zero_point, high - zero_point)
        assert float(x.grad) == for_x
        assert float(s.grad) == pytest.approx(for_step, abs=1e-9)


def test_a_gradient_worked_by_hand():
    # 2 bits, step 1: -2 is clipped to it (-2), -0.4 -> 0 (0.4), 0.7 -> 1 (0.3), 1.2 clipped (1).
    x = torch.tensor([-5.0, -0.4, 0.7, 1.2], requires_grad=True)
    step = torch.tensor(1.0, requires_grad=True)
    out = learned_fake_quantize(x, step, torch.tensor(0), quant_min=-2, quant_max=1)
    out.backward(torch.tensor([1.0, 10.0, 100.0, 1000.0]))
    assert x.grad.tolist() == [0, 10, 100, 0]
    assert float(step.grad) == pytest.approx(-2 + 4 + 30 + 1000)


def test_the_gradient_of_the_step_is_the_slope_of_a_frozen_grid():
    """An independent reference: autograd through detached rounding, as the paper writes it."""

    def reference(x, step, zero_point, quant_min, quant_max):
        ratio = (x / step).clamp(quant_min - zero_point, quant_max - zero_point)
        return (ratio + (ratio.round() - ratio).detach()) * step

    x = numbers(500, seed=1).double()
    for low, high, zero_point in GRIDS:
        ends = {"quant_min": low, "quant_max": high}
        got = step_gradient(learned_fake_quantize, x, 0.37, zero_point, ends)
        assert got == pytest.approx(step_gradient(reference, x, 0.37, zero_point, ends))


def test_the_usual_mistakes_give_another_gradient():
    """No gradient through the clamp, and rounding before it: neither may pass for LSQ."""

    def clamp_without_gradient(x, step, zero_point, quant_min, quant_max):
        ratio = x / step
        inside = (ratio > quant_min) & (ratio < quant_max)
        rounded = ratio + (ratio.round() - ratio).detach()
        ends = (ratio.clamp(quant_min, quant_max) * step).detach()
        return torch.where(inside, rounded * step, ends)

    x, ends = numbers(500, seed=1).double(), {"quant_min": -2, "quant_max": 1}
    right = step_gradient(learned_fake_quantize, x, 0.3, 0, ends)
    papers = sum(papers_gradients(float(value), 0.3, -2, 1)[1] for value in x)
    assert right == pytest.approx(papers)
    for wrong in (clamp_without_gradient, fake_quantize):
        assert abs(step_gradient(wrong, x, 0.3, 0, ends) - papers) > 1


def test_second_derivatives_exist_as_curvature_wants_them():
    x = numbers(6).double().requires_grad_()
    step = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    out = learned_fake_quantize(x, step, torch.tensor(0), quant_min=-8, quant_max=7)
    [first] = torch.autograd.grad(out.pow(3).sum(), x, create_graph=True)
    [second] = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, 6 * out)


@pytest.mark.parametrize("granularity", GRANULARITIES, ids=repr)
@pytest.mark.parametrize("num_bits", [2, 4, TERNARY])
def test_steps_start_at_twice_the_mean_over_the_root_of_the_last_code(granularity, num_bits):
    weight = numbers(6, 9)
    last = {2: 1, 4: 7, TERNARY: 1}[num_bits]
    expected = 2 * granularity.rows(weight).abs().mean(dim=1) / math.sqrt(last)
    fake = learned(weight, num_bits, granularity)
    torch.testing.assert_close(fake.scale, expected)
    kept = learned(weight, num_bits, granularity, start="current")
    first = make_fake(weight, num_bits, True, granularity=granularity, range_rule=MinMax()).scale
    torch.testing.assert_close(kept.scale, first)


def test_pruned_weights_have_no_say_in_the_start_and_a_group_of_zeros_keeps_its_step():
    weight = torch.tensor([[0.5, -1.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    scale = learned(weight, 2).scale
    assert scale.tolist() == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize("granularity", GRANULARITIES, ids=repr)
def test_the_gradient_of_the_step_is_balanced_by_the_root_of_values_and_codes(granularity):
    weight, gradient = numbers(6, 9), numbers(6, 9, seed=1)
    fake = learned(weight, 3, granularity)
    fake(weight).backward(gradient)
    rows, gradients = granularity.rows(weight), granularity.rows(gradient)
    assert float(fake.log_step.grad.abs().min()) > 1e-5
    for at, step in enumerate(fake.scale.tolist()):
        slopes = [papers_gradients(float(w), step, -4, 3)[1] for w in rows[at]]
        plain = sum(s * float(g) for s, g in zip(slopes, gradients[at], strict=True))
        balance = 1 / math.sqrt(rows.shape[1] * 3)
        # Handed to the logarithm, so that descent on it moves the step by balance * plain.
        expected = pytest.approx(balance * plain / step, rel=1e-4, abs=1e-6)
        assert float(fake.log_step.grad[at]) == expected


def test_plain_descent_moves_the_step_as_in_the_paper():
    weight, gradient, rate = numbers(4, 6), numbers(4, 6, seed=1), 1e-3
    fake = learned(weight, 2, PerTensor())
    before = float(fake.scale)
    slopes = [papers_gradients(float(w), before, -2, 1)[1] for w in weight.flatten()]
    plain = sum(s * float(g) for s, g in zip(slopes, gradient.flatten(), strict=True))
    optimizer = torch.optim.SGD(fake.parameters(), lr=rate)
    fake(weight).backward(gradient)
    optimizer.step()
    moved = float(fake.scale) - before
    assert moved == pytest.approx(-rate * plain / math.sqrt(24 * 1), rel=1e-2)
    assert moved != 0


@pytest.mark.parametrize("num_bits", [2, 8])
def test_adam_moves_small_and_large_steps_by_the_same_share(num_bits):
    weight = numbers(4, 60) * torch.tensor([1e-4, 1e-2, 1.0, 100.0])[:, None]
    fake = learned(weight, num_bits)
    before = fake.scale
    optimizer = torch.optim.Adam(fake.parameters(), lr=2e-3, eps=0)
    fake(weight).sum().backward()
    optimizer.step()
    share = fake.scale / before
    torch.testing.assert_close((share - 1).abs(), torch.full((4,), 2e-3), rtol=2e-3, atol=0)


@pytest.mark.parametrize("push", [1e6, -1e6])
def test_no_optimizer_makes_a_step_negative_or_infinite(push):
    fake, weight = learned(numbers(4, 6)), numbers(4, 6)
    with torch.no_grad():
        fake.log_step.add_(push)
    assert bool((fake.scale > 0).all())
    assert bool((1 / fake.scale).isfinite().all())
    out = fake(weight)
    assert bool(out.isfinite().all())
    out.sum().backward()
    assert not fake.log_step.grad.isnan().any()


def test_the_codes_are_those_of_the_trained_step():
    weight = numbers(4, 6)
    for num_bits, bits in ((2, 2), (8, 8), (TERNARY, 2)):
        fake = learned(weight, num_bits)
        with torch.no_grad():
            fake.log_step.add_(0.3)
        quantized = fake.quantized(weight)
        assert torch.equal(quantized.dequantize(), fake(weight))
        assert torch.equal(quantized.scale, fake.scale)
        assert quantized.num_bits == bits
        assert not quantized.scale.requires_grad


def test_an_asymmetric_grid_keeps_its_zero_point_and_reaches_to_the_farther_end():
    weight = numbers(4, 6) - 0.7
    fake = learned(weight, 4, symmetric=False)
    plain = make_fake(weight, 4, False, granularity=PerChannel(), range_rule=MinMax())
    assert torch.equal(fake.zero_point, plain.zero_point)
    reach = torch.maximum(fake.zero_point, 15 - fake.zero_point)
    assert int(fake.zero_point.max()) > 7  # below 0 is the longer side
    torch.testing.assert_close(fake.scale, 2 * weight.abs().mean(dim=1) / reach.sqrt())


def test_reach_by_hand():
    assert int(reach_of(torch.tensor(0), -2, 1, symmetric=True)) == 1
    assert int(reach_of(torch.tensor(0), 0, 3, symmetric=False)) == 3
    assert int(reach_of(torch.tensor(12), 0, 15, symmetric=False)) == 12


def test_positive_step_is_the_exponential_with_a_balanced_gradient():
    log_step = torch.tensor([0.0, 1.0], requires_grad=True)
    step = positive_step(log_step, torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(step, torch.tensor([1.0, math.e]))
    step.sum().backward()
    torch.testing.assert_close(log_step.grad, torch.tensor([0.5, 0.25 / math.e]))


def test_on_a_mask_what_is_pruned_stays_zero_while_the_step_trains():
    linear, mask = nn.Linear(6, 4), numbers(4, 6) > 0
    linear.weight.data = numbers(4, 6, seed=2)
    parametrize.register_parametrization(linear, "weight", Keep(mask))
    put_on_top_(linear, learned(linear.weight.detach(), 4), FakeQuantize)
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.05)
    before = linear.parametrizations.weight[-1].scale
    for _ in range(5):
        optimizer.zero_grad()
        (linear(numbers(8, 6)) - 1).square().sum().backward()
        optimizer.step()
    assert bool((linear.weight[~mask] == 0).all())
    assert not torch.equal(linear.parametrizations.weight[-1].scale, before)


def test_learning_the_step_ends_nearer_to_the_target_than_the_widest_weight_does():
    # One weight of 24 lies far out. Its step is coarse for all others.
    weight = numbers(1, 24)
    weight[0, 0] = 20.0

    def error(fake):
        return float((fake(weight) - weight)[0, 1:].detach().square().sum())

    fake = learned(weight, 3, start="current", rule=MinMax())
    widest = error(fake)
    optimizer = torch.optim.Adam(fake.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (fake(weight) - weight)[0, 1:].square().sum().backward()
        optimizer.step()
    assert error(fake) < widest / 10


def test_it_does_not_follow_the_weight_but_can_be_told_to_start_anew():
    weight = numbers(4, 6)
    fake = learned(weight)
    before = fake.scale
    fake(3 * weight)
    assert torch.equal(fake.scale, before)
    fake.update_(3 * weight)
    torch.testing.assert_close(fake.scale, 3 * before)


def test_half_precision_and_copies_and_a_state_dict():
    weight = numbers(4, 6)
    fake, other = learned(weight), learned(2 * weight)
    assert fake(weight.half()).dtype == torch.float16
    twin = copy.deepcopy(fake)
    with torch.no_grad():
        twin.log_step.add_(1)
    assert not torch.equal(twin.scale, fake.scale)
    other.load_state_dict(fake.state_dict())
    assert torch.equal(other(weight), fake(weight))
    assert set(fake.state_dict()) == {"log_step", "zero_point"}


def test_it_says_what_it_is():
    fake = learned(numbers(4, 6), rule=Percentile(99))
    assert repr(fake) == "LearnedStep(3 bits, PerChannel(axis=0), 4 scales)"
    assert isinstance(fake, FakeQuantize)


def test_an_unknown_start_is_refused():
    sentence = "start must be one of 'mean' or 'current', got 'men'. Did you mean 'mean'?"
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        learned(numbers(4, 6), start="men")

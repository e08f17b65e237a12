"""One quantizer of activations: its grid, how its range follows, its gradient."""

import copy
import re

import pytest
import torch

from lwlab.quantize.activations.activation import FakeQuantizeActivation
from lwlab.quantize.observers import MinMax, Percentile


def test_it_does_what_torch_does_and_the_zero_of_a_relu_costs_no_code():
    quantizer = FakeQuantizeActivation(0.0, 2.55, follow=False)
    x = torch.linspace(-1, 4, 501)
    expected = torch.fake_quantize_per_tensor_affine(x, quantizer.scale, 0, 0, 255)
    assert torch.equal(quantizer(x), expected)
    assert float(quantizer.scale) == pytest.approx(0.01)
    assert (quantizer.quant_min, quantizer.quant_max, int(quantizer.zero_point)) == (0, 255, 0)


def test_a_symmetric_grid_has_its_zero_in_the_middle():
    quantizer = FakeQuantizeActivation(-1.0, 1.4, num_bits=4, symmetric=True)
    assert (quantizer.quant_min, quantizer.quant_max, int(quantizer.zero_point)) == (-8, 7, 0)
    assert float(quantizer.scale) == pytest.approx(0.2)


def test_the_gradient_stops_where_values_are_clipped():
    quantizer = FakeQuantizeActivation(-1.0, 1.0, num_bits=2, follow=False)
    x = torch.tensor([-5.0, -0.2, 0.3, 5.0], requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_the_range_follows_by_its_momentum_and_keeps_its_share_of_the_extremes():
    quantizer = FakeQuantizeActivation(
        -1.0, 3.0, num_bits=2, extremes=torch.tensor([-2.0, 4.0]), momentum=0.5
    )
    assert quantizer.share.tolist() == [0.5, 0.75]
    quantizer(torch.tensor([-4.0, 8.0]))
    assert quantizer.extremes.tolist() == [-3, 6]
    # The range is now 0.5 * -3 to 0.75 * 6, and there are 3 steps.
    assert float(quantizer.scale) == pytest.approx((1.5 + 4.5) / 3)
    assert int(quantizer.zero_point) == 1
    assert quantizer.scale.shape == quantizer.zero_point.shape == ()


@pytest.mark.parametrize("follow", [True, False])
def test_it_follows_only_in_training_with_gradients_and_if_it_may(follow):
    quantizer = FakeQuantizeActivation(0.0, 1.0, follow=follow)
    before = copy.deepcopy(quantizer.state_dict())

    def moved():
        return not all(torch.equal(before[n], t) for n, t in quantizer.state_dict().items())

    quantizer.eval()(torch.full((3,), 9.0))
    with torch.no_grad():
        quantizer.train()(torch.full((3,), 9.0))
    assert not moved()
    quantizer(torch.full((3,), 9.0))
    assert moved() == follow


def test_a_batch_with_nan_moves_nothing_and_stays_nan():
    quantizer = FakeQuantizeActivation(0.0, 1.0)
    out = quantizer(torch.tensor([0.5, torch.nan]))
    assert out.isnan().tolist() == [False, True]
    assert quantizer.extremes.tolist() == [0, 1]


def test_an_activation_that_is_always_0_gets_a_grid():
    quantizer = FakeQuantizeActivation(0.0, 0.0)
    assert quantizer(torch.zeros(2)).tolist() == [0, 0]
    quantizer(torch.ones(2))
    assert float(quantizer.extremes[1]) == pytest.approx(0.01)
    assert float(quantizer.scale) == pytest.approx(0.01 / 255)


def test_a_backward_pass_under_way_keeps_its_grid():
    quantizer = FakeQuantizeActivation(-1.0, 1.0, momentum=1.0)
    x = torch.tensor([-1.0, 1.0], requires_grad=True)
    out = quantizer(x)
    quantizer(10 * x.detach())
    out.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_the_rule_is_kept_without_what_it_saw():
    rule = Percentile(90)
    rule.observe(torch.ones(1, 5))
    kept = FakeQuantizeActivation(0.0, 1.0, range_rule=rule).range_rule
    assert (kept.percent, kept.num_groups) == (90, None)
    assert isinstance(FakeQuantizeActivation(0.0, 1.0).range_rule, MinMax)


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        ((1.0, 0.0), {}, "low must be at most high, got 1 and 0."),
        ((0.0, 1.0), {"num_bits": 9}, "num_bits must be a whole number from 1 to 8, got 9."),
        (
            (0.0, 1.0),
            {"num_bits": 1, "symmetric": True},
            "num_bits must be a whole number from 2 to 8, got 1.",
        ),
        (
            (0.0, 1.0),
            {"momentum": 0},
            "momentum must be a finite number above 0 and of at most 1, got 0.0.",
        ),
    ],
)
def test_what_is_out_of_range_is_told(arguments, settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        FakeQuantizeActivation(*arguments, **settings)

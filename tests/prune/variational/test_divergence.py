"""Noise over signal, and the price of certainty against the integral it stands for."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from lwlab.prune.variational.divergence import kl_divergence, log_alpha


def test_log_alpha_is_the_log_of_variance_over_squared_mean():
    # sigma^2 = 8, theta = -2: alpha = 8 / 4 = 2.
    found = log_alpha(torch.tensor([-2.0, 1.0]), torch.tensor([math.log(8), 2.0]))
    assert found.tolist() == pytest.approx([math.log(2), 2.0], abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_log_alpha_of_a_zero_mean_is_large_and_finite_and_so_is_its_slope(dtype):
    mean = torch.zeros(1, dtype=dtype, requires_grad=True)
    found = log_alpha(mean, torch.full((1,), -8.0, dtype=dtype))
    found.backward()
    assert 3 < found.item() < math.inf
    assert mean.grad.item() == 0


def test_divergence_of_two_values_by_hand():
    # At 0: 0.5 log 2 + k1 (1 - sigmoid(1.8732)), sigmoid(1.8732) = 0.866829.
    by_hand = 0.5 * 0.693147 + 0.63576 * (1 - 0.866829)
    # At 3: 0.5 log(1 + e^-3) + k1 (1 - sigmoid(6.33405)), sigmoid(6.33405) = 0.998228.
    at_threshold = 0.5 * 0.048587 + 0.63576 * (1 - 0.998228)
    found = kl_divergence(torch.tensor([0.0, 3.0])).tolist()
    assert found == pytest.approx([by_hand, at_threshold], abs=2e-5)


def exact_divergence(value: float) -> float:
    """Integrate E log|1 + sqrt(alpha) z| - 0.5 log alpha over z ~ N(0, 1), shifted to 0 at inf."""
    deviation = math.exp(value / 2)

    def integrand(z: float) -> float:
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return math.log(abs(1 + deviation * z)) * density

    # The logarithm has a pole at z = -1 / deviation: it must lie on an edge.
    edges = sorted({-12.0, 0.0, 12.0, max(-12.0, -1 / deviation)})
    integral = sum(quad(integrand, a, b, limit=400)[0] for a, b in pairwise(edges))
    # E log|z| = -(Euler's gamma + log 2) / 2.
    return integral - 0.5 * value + (np.euler_gamma + math.log(2)) / 2


@pytest.mark.parametrize("value", [-8.0, -5.0, -3.5, -2.0, -1.0, 0.0, 0.5, 1.0, 3.0, 6.0])
def test_divergence_is_the_exact_integral_within_a_hundredth(value):
    assert kl_divergence(torch.tensor(value)).item() == pytest.approx(
        exact_divergence(value), abs=0.01
    )


def test_divergence_agrees_with_sampled_bell_curves():
    # KL(q || p) = E log q - E log p with p flat in log|w|: log p = -log|w| + constant.
    normal = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for mean, deviation in ((0.5, 0.5), (2.0, 0.4)):
        weights = mean + deviation * normal
        log_density = -0.5 * normal.square() - math.log(deviation * math.sqrt(2 * math.pi))
        sampled = (log_density + weights.abs().log()).mean().item()
        constant = 0.5 * math.log(2 * math.pi * math.e) + (np.euler_gamma + math.log(2)) / 2
        value = torch.tensor(2 * math.log(deviation / mean))
        assert kl_divergence(value).item() == pytest.approx(sampled + constant, abs=0.015)


def test_divergence_falls_everywhere_and_ends_at_nothing():
    values = torch.linspace(-20, 20, 401, dtype=torch.float64)
    found = kl_divergence(values)
    assert bool((found.diff() < 0).all())
    assert 0 <= found[-1] < 1e-8


def test_the_pull_on_a_certain_weight_is_one_half_whatever_its_size():
    values = torch.tensor([-20.0, -12.0], requires_grad=True)
    kl_divergence(values).sum().backward()
    assert values.grad.tolist() == pytest.approx([-0.5, -0.5], abs=1e-4)

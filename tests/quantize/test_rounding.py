"""Rounding: half to even, unbiased when stochastic, and a gradient that passes."""

import torch
from torch.func import grad, vmap

from lwlab.quantize.rounding import (
    round_nearest,
    round_stochastic,
    round_straight_through,
    stochastic,
)


def test_nearest_takes_the_even_one_from_between():
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, -0.51])
    assert round_nearest(x).tolist() == [0.0, 2.0, 2.0, 0.0, -2.0, 0.0, -1.0]
    assert round_nearest(x).tolist() == [round(value) for value in x.tolist()]


def test_stochastic_rounding_is_right_on_average():
    generator = torch.Generator().manual_seed(0)
    for value in (0.3, -1.75, 5.5, 0.001):
        draws = round_stochastic(torch.full((200_000,), value), generator)
        low = torch.tensor(value).floor().item()
        assert set(draws.tolist()) == {low, low + 1}
        fraction = value - low
        error = 4 * (fraction * (1 - fraction) / len(draws)) ** 0.5  # 4 standard errors
        assert abs(draws.double().mean().item() - value) < error


def test_stochastic_rounding_leaves_whole_numbers_alone():
    x = torch.tensor([0.0, -3.0, 7.0, 2.0**30])
    assert all(torch.equal(stochastic(seed)(x), x) for seed in range(20))


def test_stochastic_rounding_is_repeated_by_its_seed_and_leaves_torchs_stream_alone():
    x, before = torch.full((100,), 0.5), torch.get_rng_state()
    first, second = stochastic(1), stochastic(1)
    assert torch.equal(first(x), second(x))
    assert not torch.equal(first(x), stochastic(1)(x))  # the stream goes on
    assert torch.equal(torch.get_rng_state(), before)


def test_float16_is_unbiased_too():
    draws = stochastic(0)(torch.full((100_000,), 0.25, dtype=torch.float16))
    assert draws.dtype == torch.float16
    assert abs(draws.double().mean().item() - 0.25) < 0.006


def test_the_gradient_passes_as_if_nothing_was_rounded():
    x = torch.tensor([0.2, 1.7], requires_grad=True)
    (round_straight_through(x) * torch.tensor([3.0, 5.0])).sum().backward()
    assert x.grad.tolist() == [3.0, 5.0]
    torch.round(x).sum().backward()  # what torch alone gives: nothing on top
    assert x.grad.tolist() == [3.0, 5.0]


def test_it_can_be_differentiated_twice_and_under_vmap():
    second = grad(grad(lambda x: round_straight_through(x) ** 2))
    assert second(torch.tensor(1.2)).item() == 2.0
    assert vmap(grad(round_straight_through))(torch.tensor([0.1, 2.6])).tolist() == [1.0, 1.0]

"""Each function that positions flow through, or stop at: ``a`` makes 8 channels, ``d`` reads."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.prune.channels import plan_channels, remove_channels

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TYPED = "In forward, try flatten(1), or sizes read from x.shape"


def shuffle(x):
    batch, channels, height, width = x.shape
    x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2)
    return x.reshape(batch, channels, height, width)


def in_place(x):
    x += 1
    x.mul_(2).relu_()
    return x.clamp_(0, 5)


def set_one(x):
    x[:, 0] = 0
    return x


PASSED = {
    "arithmetic": lambda x: 1 - x**2 / (1 + x.abs()),
    "in place": in_place,
    "where": lambda x: torch.where(x > 0, x, x * 0.1),
    "pooling": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "resizing": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "padding": lambda x: F.pad(x, (1, 1, 1, 1)),
    "softmax over pixels": lambda x: x.flatten(2).softmax(-1).view(*x.shape),
    "mean with axes": lambda x: x * x.mean((2, 3), keepdim=True) + x.amax(-1)[..., None],
    "there and back": lambda x: x.permute(0, 2, 3, 1).unsqueeze(1).squeeze(1).movedim(-1, 1),
    "stack": lambda x: torch.stack([x, x * 2]).sum(dim=0),
    "cat of maps": lambda x: torch.cat([x, x * 2], dim=2),
    "rows one by one": lambda x: torch.stack([row * 2 for row in x.unbind(2)], 2),
    "a size that was read": lambda x: x.reshape(x.shape[0], x.shape[1], -1).view(x.shape),
    "new zeros": lambda x: x + x.new_zeros(1),
    "unused random": lambda x: x + 0 * torch.rand_like(x),
}
REFUSED = {
    "unknown": (lambda x: F.pixel_shuffle(x, 2), 2, "the function pixel_shuffle is not known here"),
    "out of sight": (
        lambda x: torch.from_numpy(x.numpy() * 2),
        8,
        "the function numpy is not known here",
    ),
    "written to": (set_one, 8, "the function setitem is not known here"),
    "softmax over channels": (
        lambda x: F.softmax(x, dim=1),
        8,
        "the function softmax works over its channels",
    ),
    "mean of all": (lambda x: x - x.mean(), 8, "the function mean works over its channels"),
    "padding channels": (
        lambda x: F.pad(x, (0, 0, 0, 0, 1, 1)),
        10,
        "the function pad works across its channels",
    ),
    "shuffle": (shuffle, 8, "the function view takes its channels apart"),
    "typed": (
        lambda x: x.view(-1, 8, 64)[..., None],
        8,
        f"the function view gives it a size that is typed in, 8. {TYPED}",
    ),
    "slice": (
        lambda x: x[:, :4],
        4,
        "some of them are picked by an index that is typed in",
    ),
    "order": (
        lambda x: x[:, [1, 0, 2, 3, 4, 5, 6, 7]],
        8,
        "some of them are picked by an index that is typed in",
    ),
    "split": (
        lambda x: torch.mul(*x.split(4, dim=1)),
        4,
        "the function split cuts them at a place that is typed in",
    ),
    "uneven chunks": (
        lambda x: torch.cat(x.chunk(3, dim=1)[:2], 1),
        6,
        "the function chunk cuts them at a place that is typed in",
    ),
    "constant": (
        lambda x: x + torch.ones(8, 1, 1),
        8,
        "it is joined with a tensor, which cannot be cut",
    ),
    "another axis": (
        lambda x: x + x.transpose(1, 2),
        8,
        "the function add joins it with channels of another axis",
    ),
}


def between(written, function, channels):
    return written(
        lambda m, x: m.d(function(m.a(x))).mean((2, 3)),
        a=nn.Conv2d(3, 8, 1),
        d=nn.Conv2d(channels, 2, 1),
    )


@pytest.mark.parametrize("function", PASSED.values(), ids=PASSED)
def test_channels_pass_and_the_result_is_proved(written, function):
    model = between(written, function, 8)
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=IMAGES)
    assert (smaller.a.out_channels, smaller.d.in_channels) == (4, 4)


@pytest.mark.parametrize(("function", "channels", "reason"), REFUSED.values(), ids=REFUSED)
def test_channels_stop_with_a_reason_and_the_rest_is_cut(written, function, channels, reason):
    model = written(
        lambda m, x: m.f(F.relu(m.e(m.d(function(m.a(x)))))).mean((2, 3)),
        **{"a": nn.Conv2d(3, 8, 1), "d": nn.Conv2d(channels, 2, 1)},
        **{"e": nn.Conv2d(2, 6, 1), "f": nn.Conv2d(6, 2, 1)},
    )
    plan = plan_channels(model, pruning_ratio=0.5, example_inputs=IMAGES)
    assert {r.layer: r.reason for r in plan.refusals}["a"] == reason
    smaller = remove_channels(model, plan=plan, example_inputs=IMAGES)
    assert (smaller.a.out_channels, smaller.e.out_channels) == (8, 3)


def test_halves_that_are_multiplied_lose_the_same_channels(written):
    model = between(written, lambda x: torch.mul(*x.chunk(2, dim=1)), 4)
    [group, *_] = plan_channels(model, pruning_ratio=0.5, example_inputs=IMAGES).groups
    assert group.channels == 4
    model = between(written, lambda x: torch.mul(*x.split(x.shape[1] // 2, 1)), 4)
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=IMAGES)
    assert (smaller.a.out_channels, smaller.d.in_channels) == (4, 2)

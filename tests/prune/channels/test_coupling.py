"""Layers that are not their own, or not known: refused with a reason, and the rest is cut."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from lwlab.prune.channels import plan_channels, remove_channels

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def refusals(model, inputs=IMAGES):
    plan = plan_channels(model, pruning_ratio=0.5, example_inputs=inputs)
    remove_channels(model, plan=plan, example_inputs=inputs)  # what is left works
    return {refusal.layer: refusal.reason for refusal in plan.refusals}


def row(written, **layers):
    """A model that calls its layers in order, with a ReLU after each."""

    def forward(m, x):
        for name in layers:
            x = F.relu(getattr(m, name)(x))
        return x

    return written(forward, **layers)


def test_tied_weights_are_refused_on_both_sides(written):
    model = row(written, **{name: nn.Linear(6, 6) for name in "abcd"})
    model.b.weight = model.a.weight
    assert refusals(model, torch.ones(2, 6)) == {
        "a": "it shares its weight with 'b'",
        "b": "it shares its weight with 'a'",
        "d": "its outputs are the model's outputs",
    }


def test_a_weight_under_a_parametrization_is_refused(written):
    model = row(written, **{name: nn.Linear(6, 6) for name in "abcd"})
    parametrizations.weight_norm(model.b)
    assert refusals(model, torch.ones(2, 6)) == {
        "a": "'b' cannot be cut: its weight is computed, by _WeightNorm",
        "b": "its weight is computed, by _WeightNorm",
        "d": "its outputs are the model's outputs",
    }


def test_normalization_over_channels_is_refused(written):
    model = row(
        written,
        **{"a": nn.Conv2d(3, 8, 1), "norm": nn.GroupNorm(2, 8)},
        **{"b": nn.Conv2d(8, 8, 1), "c": nn.Conv2d(8, 2, 1)},
    )
    assert refusals(model)["a"] == (
        "'norm' (GroupNorm) normalizes over its channels, so that removing some would change the "
        "rest"
    )


def test_layers_without_a_rule_and_layers_that_do_not_run_are_named(written):
    model = written(
        lambda m, x: m.d(F.relu(m.c(m.lstm(m.a(x))[0]))),
        **{"a": nn.Linear(6, 8), "lstm": nn.LSTM(8, 8), "c": nn.Linear(8, 6)},
        **{"d": nn.Linear(6, 2), "idle": nn.Linear(2, 2)},
    )
    assert refusals(model, torch.ones(2, 5, 6)) == {
        "a": "the function lstm is not known here",
        "lstm": "LSTM is not known here",
        "d": "its outputs are the model's outputs",
        "idle": "it was not called on example_inputs",
    }


def test_a_layer_with_a_forward_of_its_own_is_a_stranger(written):
    class Centred(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight - self.weight.mean(), self.bias)

    model = row(
        written,
        **{"a": nn.Conv2d(3, 8, 1), "b": Centred(8, 8, 1)},
        **{"c": nn.Conv2d(8, 6, 1), "d": nn.Conv2d(6, 2, 1)},
    )
    found = refusals(model)
    assert found["a"] == "the function conv2d is not known here"
    assert found["b"] == "its weight is used by the function mean"
    assert "c" not in found


def test_groups_that_divide_channels_differently_are_refused(written):
    model = row(
        written,
        **{"a": nn.Conv2d(3, 12, 1), "b": nn.Conv2d(12, 12, 1, groups=4)},
        **{"c": nn.Conv2d(12, 12, 1, groups=6), "d": nn.Conv2d(12, 2, 1)},
    )
    assert refusals(model)["b"] == (
        "grouped convolutions or chunks divide its channels in different ways"
    )


def test_a_depthwise_convolution_of_the_image_follows_what_cannot_be_cut(written):
    model = row(
        written,
        **{"a": nn.Conv2d(3, 3, 1, groups=3), "b": nn.Conv2d(3, 8, 1), "c": nn.Conv2d(8, 2, 1)},
    )
    assert refusals(model)["a"] == "it follows channels that cannot be cut"


def test_a_layer_used_on_the_image_and_on_channels_fixes_the_channels(written):
    model = written(
        lambda m, x: m.d(m.a(x) + m.a(m.b(x))).mean((2, 3)),
        **{"a": nn.Conv2d(3, 8, 1), "b": nn.Conv2d(3, 3, 1), "d": nn.Conv2d(8, 2, 1)},
    )
    assert refusals(model) == {
        "b": "it is used more than once, and one of the times its inputs cannot be cut",
        "d": "its outputs are the model's outputs",
    }

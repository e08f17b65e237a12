"""The proof: the smaller model computes what the original computes with channels at zero."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.measure import num_parameters
from lwlab.prune.channels import plan_channels, remove_channels, zero_channels_
from lwlab.prune.entropy import weight_entropy
from lwlab.prune.importance import RandomImportance
from lwlab.prune.structured import filter_norm


def outputs(model, inputs):
    model.eval()
    with torch.no_grad():
        found = model(inputs)
    return found["mask"] if isinstance(found, dict) else found


def check_twins(model, inputs, plan, tolerance):
    smaller, twin = remove_channels(model, plan=plan), copy.deepcopy(model)
    zero_channels_(twin, plan)
    expected = outputs(twin, inputs)
    assert (outputs(smaller, inputs) - expected).abs().max() < tolerance
    assert num_parameters(smaller) == plan.parameters_after < plan.parameters_before
    assert num_parameters(twin) == plan.parameters_before == num_parameters(model)
    # The removed channels mattered: the equality is no accident.
    assert (outputs(copy.deepcopy(model), inputs) - expected).abs().max() > 100 * tolerance
    return expected


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("importance", [filter_norm, weight_entropy, RandomImportance(1)])
def test_smaller_model_equals_its_masked_twin(network, ratio, importance):
    model, inputs = network
    if importance is weight_entropy:
        importance = lambda weight: weight_entropy(weight.flatten(1))  # noqa: E731 - an adapter
    plan = plan_channels(model, pruning_ratio=ratio, example_inputs=inputs, importance=importance)
    check_twins(model, inputs, plan, 1e-5)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_equality_is_exact_up_to_rounding_in_float64(network, scope):
    model, inputs = network
    model, inputs = model.double(), inputs.double() if inputs.is_floating_point() else inputs
    plan = plan_channels(model, pruning_ratio=0.4, example_inputs=inputs, scope=scope)
    expected = check_twins(model, inputs, plan, 1e-12)
    assert (expected[0] - expected[1]).abs().max() > 1e-3  # what is left is alive


@settings(max_examples=15)
@given(data=st.data())
def test_any_ratio_for_any_group_gives_a_twin_and_exact_counts(build_network, data):
    name = data.draw(st.sampled_from(["ResNet8", "MobileNet", "DenseNet", "U-Net", "Inception"]))
    model, inputs = build_network(name)
    names = [g.name for g in plan_channels(model, pruning_ratio=0.5, example_inputs=inputs).groups]
    ratios = data.draw(
        st.dictionaries(st.sampled_from(names), st.floats(0, 0.99), min_size=1, max_size=4)
    )
    seed = data.draw(st.integers(0, 9))
    plan = plan_channels(
        model, pruning_ratio=ratios, example_inputs=inputs, importance=RandomImportance(seed)
    )
    for group in plan.groups:
        wanted = min(round(ratios[group.name] * group.channels), group.channels - 1)
        assert group.removed == wanted
    assert {group.name for group in plan.groups} == set(ratios)
    smaller, twin = remove_channels(model, plan=plan), copy.deepcopy(model)
    zero_channels_(twin, plan)
    assert (outputs(smaller, inputs) - outputs(twin, inputs)).abs().max() < 1e-5
    assert num_parameters(smaller) == plan.parameters_after


def test_training_the_smaller_model_works_and_batchnorm_still_learns(build_network):
    model, inputs = build_network("ResNet8")
    smaller = remove_channels(model.train(), pruning_ratio=0.5, example_inputs=inputs)
    before = smaller.bn.running_mean.clone()
    smaller(inputs).sum().backward()
    assert all(parameter.grad is not None for parameter in smaller.parameters())
    assert not torch.equal(before, smaller.bn.running_mean)

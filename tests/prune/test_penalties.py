"""Penalties: by hand, their gradients by finite differences, and what training under them does."""

import copy
import math
import re

import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import ResNet8, SimpleCNN, compressible_layers, seeded
from lwlab.prune import (
    BatchNormScalePenalty,
    GroupLassoPenalty,
    L1Penalty,
    L2Penalty,
    mask_model_,
)
from lwlab.train import cosine, fit

ON_WEIGHTS = [L1Penalty, L2Penalty, GroupLassoPenalty]
ALL = [*ON_WEIGHTS, BatchNormScalePenalty]


def linear(values):
    """Return a linear layer with these weights, and a bias that must not count."""
    model = nn.Linear(len(values[0]), len(values))
    model.weight.data = torch.tensor(values)
    model.bias.data.fill_(100)
    return model


def small_net():
    """Return a network in float64 with all that can be penalized."""
    with seeded(3):
        layers = [nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2)]
        model = nn.Sequential(*layers).double()
        model[1].weight.data = torch.randn(3, dtype=torch.float64)
    return model


def gradients(penalty, model):
    model.zero_grad()
    penalty(model).backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in model.named_parameters()
    }


# ---- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("penalty", "value"),
    [
        (L1Penalty(0.1), 0.1 * (3 + 4 + 12)),
        (L2Penalty(0.1), 0.1 * (9 + 16 + 144)),
        (GroupLassoPenalty(0.1), 0.1 * math.sqrt(2) * (5 + 12)),
        (L1Penalty(0), 0.0),
    ],
    ids=repr,
)
def test_penalties_of_two_rows_worked_by_hand(penalty, value):
    assert penalty(linear([[3.0, -4.0], [0.0, 12.0]])).item() == pytest.approx(value)


def test_a_filter_of_a_convolution_is_one_group():
    model = nn.Conv2d(2, 3, 2)
    filters = [channel.flatten().tolist() for channel in model.weight.detach()]
    by_hand = sum(math.sqrt(8) * math.hypot(*values) for values in filters)
    assert GroupLassoPenalty(1)(model).item() == pytest.approx(by_hand)


def test_slimming_counts_the_scales_of_batch_norm_and_nothing_else():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2, affine=False))
    model[1].weight.data = torch.tensor([0.5, -2.0])
    model[1].bias.data.fill_(100)
    assert BatchNormScalePenalty(0.1)(model).item() == pytest.approx(0.25)


def test_layers_add_up():
    model = SimpleCNN(width=2, hidden=4)
    for kind in ON_WEIGHTS:
        apart = sum(kind(0.5)(layer.module).item() for layer in compressible_layers(model))
        assert kind(0.5)(model).item() == pytest.approx(apart)


def test_a_shared_weight_is_paid_for_once():
    layer, other = linear([[3.0, -4.0], [0.0, 12.0]]), nn.Linear(2, 2)
    other.weight = layer.weight  # tied
    for kind in ON_WEIGHTS:
        once = kind(0.1)(layer).item()
        assert kind(0.1)(nn.Sequential(layer, layer, other)).item() == pytest.approx(once)


def test_pruned_weights_are_free_and_get_no_gradient():
    model = linear([[3.0, -4.0], [0.0, 12.0]])
    mask_model_(model, threshold=3.5)
    assert L1Penalty(1)(model).item() == pytest.approx(16)
    found = gradients(L1Penalty(1), model)["parametrizations.weight.original"]
    assert found.tolist() == [[0, -1], [0, 1]]
    assert GroupLassoPenalty(1)(model).item() == pytest.approx(math.sqrt(2) * 16)


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_gradients_are_finite_differences_of_the_value(kind):
    model, penalty, step = small_net(), kind(0.3), 1e-6
    found = gradients(penalty, model)
    assert any(bool(gradient.any()) for gradient in found.values())
    for name, parameter in model.named_parameters():
        slow = torch.zeros_like(parameter)
        values = parameter.data.flatten()
        for i in range(len(values)):
            sides = []
            for sign in (1, -1):
                parameter.data = values.index_add(
                    0, torch.tensor([i]), torch.tensor([sign * step]).double()
                ).reshape(parameter.shape)
                sides.append(penalty(model).item())
            slow.view(-1)[i] = (sides[0] - sides[1]) / (2 * step)
        parameter.data = values.reshape(parameter.shape)
        torch.testing.assert_close(found[name], slow, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ALL)
def test_at_exactly_zero_the_gradient_is_zero_and_not_nan(kind):
    model = small_net()
    for parameter in model.parameters():
        parameter.data.zero_()
    assert kind(1.0)(model).item() == 0
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients(kind(1.0), model).values())


def test_one_dead_channel_does_not_stop_the_others():
    found = gradients(GroupLassoPenalty(1), linear([[0.0, 0.0], [3.0, 4.0]]))["weight"]
    expected = math.sqrt(2) * torch.tensor([[0.0, 0.0], [0.6, 0.8]])
    torch.testing.assert_close(found, expected)


# ---- training ------------------------------------------------------------------------------------


def two_of_thirty(seed):
    """Return a task in which 2 of 30 features decide the class."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(240, 30, generator=generator)
    targets = (inputs[:, 0] + inputs[:, 1] > 0).long()
    return data.from_arrays(inputs, targets, validation_fraction=0.1, test_fraction=0.1)


def sgd(parameters, learning_rate):
    return torch.optim.SGD(parameters, learning_rate)


def trained(model, penalty, seed, optimizer=sgd):
    settings = {"epochs": 40, "learning_rate": 0.1, "batch_size": 32, "schedule": cosine}
    for _ in fit(model, two_of_thirty(seed), penalty=penalty, optimizer=optimizer, **settings):
        pass
    return model


def share_near_zero(sizes):
    """Return the share of the sizes below a hundredth of the largest."""
    return (sizes < 0.01 * sizes.max()).double().mean().item()


@pytest.mark.parametrize("seed", range(2))
def test_under_l1_weights_pile_up_at_zero_and_under_l2_and_without_they_do_not(seed):
    shares = {}
    for penalty in (L1Penalty(0.02), L2Penalty(0.02), None):
        with seeded(seed):
            model = nn.Linear(30, 2)
        weight = trained(model, penalty, seed).weight.detach()
        shares[penalty] = share_near_zero(weight.abs())
        assert weight[:, :2].abs().min() > 0.4  # the features that decide stay
    assert shares[L1Penalty(0.02)] > 0.6
    assert shares[L2Penalty(0.02)] < 0.3
    assert shares[None] < 0.3


def network(norm):
    with seeded(0):
        return nn.Sequential(nn.Linear(30, 16), norm, nn.ReLU(), nn.Linear(16, 2))


def test_under_group_lasso_whole_rows_drift_to_zero_together():
    sizes = {
        kind: trained(network(nn.Identity()), kind(0.01), 0)[0].weight.detach().norm(dim=1)
        for kind in (GroupLassoPenalty, L2Penalty)
    }
    assert share_near_zero(sizes[GroupLassoPenalty]) > 0.4
    assert share_near_zero(sizes[L2Penalty]) == 0


def test_under_slimming_scales_drift_to_zero():
    scales = {
        penalty: trained(network(nn.BatchNorm1d(16)), penalty, 0)[1].weight.detach().abs()
        for penalty in (BatchNormScalePenalty(0.1), None)
    }
    assert share_near_zero(scales[BatchNormScalePenalty(0.1)]) > 0.4
    assert share_near_zero(scales[None]) == 0


def test_with_plain_sgd_l2_is_half_of_torchs_weight_decay():
    def decaying(parameters, learning_rate):
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        rest = [{"params": [p for p in parameters if p.ndim == 1]}]
        decayed = {"params": matrices, "weight_decay": 0.1}
        return torch.optim.SGD([decayed, *rest], learning_rate)

    ours = network(nn.Identity())
    theirs = copy.deepcopy(ours)
    trained(ours, L2Penalty(0.05), 0)
    trained(theirs, None, 0, decaying)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_a_penalty_leaves_the_model_as_it_was_and_equals_its_like(kind, unchanged):
    model = ResNet8((1, 8, 8), width=2)
    with unchanged(model):
        assert kind(0.1)(model).item() > 0
    assert kind(0.1) == kind(0.1) != kind(0.2)
    assert repr(kind(0.1)) == f"{kind.__name__}(strength=0.1)"


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_a_strength_out_of_range_and_what_is_no_model_are_refused(kind):
    sentence = "strength must be a finite number of at least 0, got -1.0."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        kind(-1)
    sentence = "strength must be a finite number of at least 0, got 'strong'."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        kind("strong")
    sentence = "model must be a torch.nn.Module, got the class SimpleCNN. Did you mean SimpleCNN()?"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        kind(1)(SimpleCNN)


@pytest.mark.parametrize("kind", ON_WEIGHTS)
def test_a_model_without_weights_to_penalize_is_refused(kind):
    sentence = (
        "model must have a convolution or linear layer to penalize, got BatchNorm1d without one."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        kind(1)(nn.BatchNorm1d(3))
    sentence = (
        "weight of layer '1' must have values before it can be penalized, got an uninitialized "
        "LazyLinear. Run the model once on a batch."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        kind(1)(nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(2)))


@pytest.mark.parametrize("model", [SimpleCNN(), nn.BatchNorm1d(3, affine=False)])
def test_slimming_refuses_a_model_without_scales(model):
    sentence = (
        "model must have a BatchNorm layer with a scale to penalize, got "
        f"{type(model).__name__} without one. Try GroupLassoPenalty, which needs none."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        BatchNormScalePenalty(1)(model)
    sentence = (
        "weight of layer '0' must have values before it can be penalized, got an uninitialized "
        "LazyBatchNorm1d. Run the model once on a batch."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        BatchNormScalePenalty(1)(nn.Sequential(nn.LazyBatchNorm1d()))

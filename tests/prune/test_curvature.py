"""Optimal brain damage: by hand, and the two ways to the diagonal against torch's Hessian."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from lwlab.data import Split
from lwlab.models import ResNet8, SimpleCNN
from lwlab.prune import current_masks, mask_model_, obd_saliency

METHODS = ["gauss_newton", "exact"]


def random_split(count=6, shape=(1, 8, 8), classes=10):
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(count, *shape, generator=generator)
    return Split(inputs, torch.randint(classes, (count,), generator=generator))


def hessian_saliency(model, name, split):
    """Return the saliency of one layer from the whole Hessian, by torch.func."""
    weight = model.get_submodule(name).weight.detach()

    def loss(flat):
        changed = {f"{name}.weight": flat.reshape(weight.shape)}
        return F.cross_entropy(functional_call(model, changed, split.inputs), split.targets)

    hessian = torch.func.hessian(loss)(weight.flatten())
    return (hessian.diagonal() * weight.flatten() ** 2 / 2).reshape(weight.shape)


def small_net(activation):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(1, 3, 3), activation, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4)
        ).eval()


@pytest.mark.parametrize("method", METHODS)
def test_the_saliency_of_two_weights_worked_by_hand(method):
    # logits (2 log 3, log 3), p = (3/4, 1/4), h = p (1 - p) = 3/16 for both
    model = nn.Linear(1, 2, bias=False)
    model.weight.data = torch.tensor([[2 * math.log(3)], [math.log(3)]])
    split = Split(torch.ones(1, 1), torch.tensor([1]))
    expected = 3 / 16 * torch.tensor([[4.0], [1.0]]) * math.log(3) ** 2 / 2
    torch.testing.assert_close(obd_saliency(model, split, method=method)["model"], expected)


@pytest.mark.parametrize("name", ["0", "4"])
@pytest.mark.parametrize("method", METHODS)
def test_both_methods_give_torchs_hessian_with_relu(method, name):
    model, split = small_net(nn.ReLU()), random_split(classes=4)
    found = obd_saliency(model, split, method=method)[name]
    torch.testing.assert_close(found, hessian_saliency(model, name, split), rtol=1e-3, atol=1e-8)


def test_with_tanh_the_exact_method_gives_torchs_hessian_and_gauss_newton_another_thing():
    model, split = small_net(nn.Tanh()), random_split(classes=4)
    expected = hessian_saliency(model, "0", split)
    exact = obd_saliency(model, split, method="exact")
    other = obd_saliency(model, split, method="gauss_newton")
    torch.testing.assert_close(exact["0"], expected, rtol=1e-3, atol=1e-8)
    assert not torch.allclose(other["0"], expected, rtol=0.01, atol=1e-6)
    torch.testing.assert_close(exact["4"], other["4"], rtol=1e-3, atol=1e-8)


def test_both_methods_agree_through_batch_norm_and_residual_adds():
    model, split = ResNet8((1, 8, 8), width=2), random_split(4)
    exact = obd_saliency(model, split, method="exact", layers=["conv", "fc"])
    other = obd_saliency(model, split, layers=["conv", "fc"])
    for name in ("conv", "fc"):
        torch.testing.assert_close(other[name], exact[name], rtol=1e-3, atol=1e-8)


def test_the_saliency_foretells_the_loss_where_the_gradient_is_zero():
    """At a minimum, removing a weight costs about its saliency: second order is what is left."""
    inputs = torch.tensor([[1.0], [1.0], [1.0], [1.0]])
    split = Split(inputs, torch.tensor([0, 0, 0, 1]))  # minimum where p = (3/4, 1/4)
    model = nn.Linear(1, 2, bias=False)
    model.weight.data = torch.tensor([[math.log(3)], [0.0]]) - math.log(3) / 2
    found = obd_saliency(model, split)["model"][0, 0].item()
    before = F.cross_entropy(model(inputs), split.targets).item()
    model.weight.data[0] = 0
    rise = F.cross_entropy(model(inputs), split.targets).item() - before
    assert found == pytest.approx(rise, rel=0.15)


def test_gauss_newton_is_never_negative_and_does_not_depend_on_the_targets():
    model, split = SimpleCNN(width=4, hidden=8), random_split()
    other = Split(split.inputs, (split.targets + 1) % 10)
    one, two = obd_saliency(model, split), obd_saliency(model, other)
    assert all(bool((values >= 0).all()) for values in one.values())
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_as_it_was_and_pruned_weights_score_zero(method, unchanged):
    model = ResNet8((1, 8, 8), width=2)
    mask_model_(model, sparsity=0.5)
    model.fc.requires_grad_(False)
    with unchanged(model):
        found = obd_saliency(model, random_split(3), method=method, layers=["conv", "fc"])
    for name, values in found.items():
        mask = current_masks(model)[name]
        assert not values[~mask].any()
        assert values[mask].any()
    mask_model_(model, sparsity={"conv": 0.9}, importance=found)


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_the_loss_does_not_depend_on_scores_zero(method):
    model = SimpleCNN(width=1, hidden=2)
    model.spare = nn.Linear(3, 3)
    found = obd_saliency(model, random_split(2), method=method)
    assert not found["spare"].any()
    assert found["fc2"].any()


@pytest.mark.parametrize(
    ("model", "settings", "sentence"),
    [
        (
            SimpleCNN(),
            {"method": "exact"},
            (
                "method 'exact' must have at most 5,000 weights, one backward pass each, got "
                "52,768. Try method='gauss_newton', or fewer layers=[...]."
            ),
        ),
        (
            SimpleCNN(),
            {"method": "gauss newton"},
            (
                "method must be one of 'gauss_newton' or 'exact', got 'gauss newton'. "
                "Did you mean 'gauss_newton'?"
            ),
        ),
        (
            nn.Conv2d(1, 2, 3),
            {},
            "model must return logits of shape (1, classes) for 1 input, got (1, 2, 6, 6).",
        ),
    ],
    ids=["too many", "method", "logits"],
)
def test_what_is_wrong_is_told_in_one_sentence(model, settings, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        obd_saliency(model, random_split(), **settings)

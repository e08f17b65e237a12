"""Taylor and SNIP: by hand, against a slow reference, and with nothing left behind."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.data import Dataset, Split
from lwlab.models import LeNet300, ResNet8, SimpleCNN, compressible_layers
from lwlab.prune import (
    bake_,
    current_masks,
    mask_model_,
    snip_importance,
    taylor_importance,
)

LOG3 = math.log(3)
CRITERIA = [taylor_importance, snip_importance]


def random_split(count=12, shape=(1, 8, 8), classes=10):
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(count, *shape, generator=generator)
    return Split(inputs, torch.randint(classes, (count,), generator=generator))


def two_weights(first, second):
    """Return logits (first x, second x) of one input x."""
    model = nn.Linear(1, 2, bias=False)
    model.weight.data = torch.tensor([[first], [second]])
    return model


ONES = Split(torch.ones(2, 1), torch.tensor([0, 1]))  # one input, once of each class

# ---- by hand -------------------------------------------------------------------------------------


def test_taylor_example_by_example_is_the_mean_of_squares_worked_by_hand():
    # softmax(2 log 3, log 3) = (3/4, 1/4); gradients (-1/4, 1/4) for class 0, (3/4, -3/4) for 1
    found = taylor_importance(two_weights(2 * LOG3, LOG3), ONES, batch_size=1)["model"]
    mean_square = (1 / 16 + 9 / 16) / 2
    expected = torch.tensor([[mean_square * 4 * LOG3**2], [mean_square * LOG3**2]])
    torch.testing.assert_close(found, expected)


def test_taylor_in_one_batch_is_the_square_of_the_mean_gradient_worked_by_hand():
    found = taylor_importance(two_weights(2 * LOG3, LOG3), ONES, batch_size=2)["model"]
    expected = torch.tensor([[(1 / 4) ** 2 * 4 * LOG3**2], [(1 / 4) ** 2 * LOG3**2]])
    torch.testing.assert_close(found, expected)


def test_snip_worked_by_hand():
    # |gradient| is the same for both, so that the weights 2 log 3 and log 3 share 1 as 2 : 1
    found = snip_importance(two_weights(2 * LOG3, LOG3), ONES.take(1))["model"]
    torch.testing.assert_close(found, torch.tensor([[2 / 3], [1 / 3]]))


# ---- against a slow reference --------------------------------------------------------------------


def slow_gradients(model, inputs, targets):
    """Return the gradient of each layer's weight by ``backward``, the ordinary way."""
    model.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    return {layer.name: layer.weight.grad.clone() for layer in compressible_layers(model)}


@pytest.mark.parametrize(
    "make", [SimpleCNN, lambda: LeNet300((1, 8, 8)), lambda: ResNet8((1, 8, 8))]
)
def test_taylor_agrees_with_one_backward_pass_for_each_example(make):
    model, split = make().eval(), random_split()
    slow = {layer.name: torch.zeros_like(layer.weight) for layer in compressible_layers(model)}
    for image, target in zip(split.inputs, split.targets, strict=True):
        for name, gradient in slow_gradients(model, image[None], target[None]).items():
            slow[name] += (gradient * model.get_submodule(name).weight.detach()) ** 2 / len(split)
    found = taylor_importance(model, split, batch_size=1)
    assert list(found) == list(slow)
    for name, expected in slow.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-12)


def test_taylor_weighs_uneven_batches_by_their_examples():
    model, split = SimpleCNN(), random_split(5)
    found = taylor_importance(model, split, batch_size=3)["fc2"]
    weight = model.fc2.weight.detach()
    first = slow_gradients(model, split.inputs[:3], split.targets[:3])["fc2"]
    second = slow_gradients(model, split.inputs[3:], split.targets[3:])["fc2"]
    expected = 3 / 5 * (first * weight) ** 2 + 2 / 5 * (second * weight) ** 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("batch_size", [3, 250])
def test_snip_agrees_with_one_backward_pass_whatever_the_batches(batch_size):
    model, split = SimpleCNN(), random_split(10)
    slow = slow_gradients(model, split.inputs, split.targets)
    slow = {name: (g * model.get_submodule(name).weight.detach()).abs() for name, g in slow.items()}
    total = sum(values.sum() for values in slow.values())
    found = snip_importance(model, split, batch_size=batch_size)
    for name in slow:
        torch.testing.assert_close(found[name], slow[name] / total, rtol=1e-3, atol=1e-9)


def test_snip_normalizes_by_the_batch_and_taylor_by_the_running_statistics():
    model, split = ResNet8((1, 8, 8)), random_split()
    training = slow_gradients(model.train(), split.inputs, split.targets)["fc"]
    expected = (training * model.fc.weight.detach()).abs()
    found = snip_importance(model, split, layers=["fc"])["fc"]
    torch.testing.assert_close(found, expected / expected.sum(), rtol=1e-3, atol=1e-7)
    frozen = slow_gradients(model.eval(), split.inputs, split.targets)["fc"]
    assert not torch.allclose(frozen, training, rtol=0.01)


# ---- invariants ----------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_model_is_as_it_was_also_one_that_is_masked_half_frozen_and_amid_training(
    criterion, unchanged
):
    model, split = ResNet8((1, 8, 8)), random_split()
    mask_model_(model, sparsity=0.5)
    F.cross_entropy(model(split.inputs), split.targets).backward()
    model.stack1.requires_grad_(False).eval()
    with unchanged(model):
        importance = criterion(model, split)
    assert "stack1.conv1" in importance
    model.stack1.requires_grad_(True)
    again = criterion(model, split)
    assert all(torch.equal(importance[name], again[name]) for name in again)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_pruned_weight_scores_zero_and_the_rest_as_in_the_baked_model(criterion):
    model, split = SimpleCNN(), random_split()
    mask_model_(model, sparsity=0.5)
    masks, found = current_masks(model), criterion(model, split)
    bake_(model)
    baked = criterion(model, split)
    for name, mask in masks.items():
        assert not found[name][~mask].any()
        assert found[name][mask].any()
        assert torch.equal(found[name], baked[name])


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_result_is_an_importance_and_not_magnitude(criterion):
    model, split = SimpleCNN(), random_split()
    masks = mask_model_(model, sparsity=0.9, importance=criterion(model, split))
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(0.9 * 52_768)
    by_size = mask_model_(model, sparsity=0.9)
    assert not torch.equal(masks["fc1"], by_size["fc1"])


def test_snip_sums_to_one_over_the_layers_that_are_asked_for():
    importance = snip_importance(SimpleCNN(), random_split(), layers=["fc2", "conv1"])
    assert list(importance) == ["conv1", "fc2"]
    assert float(sum(values.double().sum() for values in importance.values())) == pytest.approx(1)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_flow_inside_whatever_the_caller_has_switched_off(criterion, mode):
    model, split = SimpleCNN(), random_split()
    with mode():
        found = criterion(model, split)
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
        assert not torch.is_grad_enabled()
    expected = criterion(model, split)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not any(v.requires_grad or v.is_inference() for v in found.values())


def test_dropout_is_off():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(64, 10)).train()
    plain = nn.Sequential(nn.Flatten(), nn.Identity(), model[2])
    for criterion in CRITERIA:
        one, two = criterion(model, random_split()), criterion(plain, random_split())
        assert torch.equal(one["2"], two["2"])


def test_a_layer_that_the_loss_does_not_depend_on_scores_zero():
    model = SimpleCNN()
    model.spare = nn.Linear(3, 3)
    assert not taylor_importance(model, random_split())["spare"].any()


def test_the_loss_is_the_callers():
    model, split = SimpleCNN(), random_split(4)
    seen = []

    def doubled(outputs, batch):
        seen.extend(batch.indices.tolist())
        return 2 * F.cross_entropy(outputs, batch.targets)

    once = taylor_importance(model, split, batch_size=2)
    twice = taylor_importance(model, split, batch_size=2, loss=doubled)
    torch.testing.assert_close(twice["fc1"], 4 * once["fc1"])
    assert seen == [0, 1, 2, 3]


def test_a_model_that_works_in_place_leaves_the_split_alone():
    model, split = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), random_split(3, (4,), 2)
    before = split.inputs.clone()
    taylor_importance(model, split)
    assert torch.equal(split.inputs, before)


# ---- refusals ------------------------------------------------------------------------------------


class Rounding(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs).detach()


def empty_split():
    return Split(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64))


def dataset():
    split = random_split()
    return Dataset("own", split, split, split, tuple("0123456789"))


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(
    ("model", "split", "settings", "kind", "sentence"),
    [
        (
            SimpleCNN,
            random_split(),
            {},
            TypeError,
            "model must be a torch.nn.Module, got the class SimpleCNN. Did you mean SimpleCNN()?",
        ),
        (
            SimpleCNN(),
            dataset(),
            {},
            TypeError,
            "split must be a Split, got Dataset. Try dataset.validation.",
        ),
        (
            SimpleCNN(),
            empty_split(),
            {},
            ValueError,
            "split must hold at least one example, got an empty split.",
        ),
        (
            SimpleCNN(),
            random_split(),
            {"batch_size": 0},
            ValueError,
            "batch_size must be a whole number of at least 1, got 0.",
        ),
        (
            SimpleCNN(),
            random_split(),
            {"layers": ["fc3"]},
            ValueError,
            (
                "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc3'. "
                "Did you mean 'fc2'?"
            ),
        ),
        (
            SimpleCNN(num_classes=2),
            Split(torch.zeros(1, 1, 8, 8), torch.tensor([2])),
            {},
            ValueError,
            (
                "loss must accept the model's outputs and the split's targets, got IndexError: "
                "Target 2 is out of bounds."
            ),
        ),
        (
            SimpleCNN(),
            random_split(),
            {
                "loss": lambda outputs, batch: F.cross_entropy(
                    outputs, batch.targets, reduction="none"
                )
            },
            ValueError,
            "loss must be a tensor of one number, got (12,). Try its mean.",
        ),
        (
            SimpleCNN(),
            random_split(),
            {"loss": lambda outputs, batch: outputs.sum() * math.inf},
            ValueError,
            None,
        ),
        (
            Rounding(64, 10),
            random_split(shape=(64,)),
            {},
            ValueError,
            (
                "model must let gradients through to its weights, got Rounding, whose loss depends "
                "on none of model. Look for no_grad, detach, argmax or round in forward."
            ),
        ),
    ],
    ids=["class", "dataset", "empty", "batch", "layer", "target", "vector", "infinite", "detached"],
)
def test_what_is_wrong_is_told_in_one_sentence(criterion, model, split, settings, kind, sentence):
    if sentence is None:
        sentence_pattern = r"loss must be finite, got -?inf\. Check the weights and the inputs\."
    else:
        sentence_pattern = re.escape(sentence)
    with pytest.raises(kind, match=f"^{sentence_pattern}$"):
        criterion(model, split, **settings)


def test_a_gradient_that_is_not_finite_is_told_by_its_layer():
    model = nn.Linear(1, 2, bias=False)
    sentence = "gradient of layer 'model' must be finite, got 2 NaN or infinite of 2 values "

    def steep(outputs, batch):
        return (outputs * 0).sum().abs().sqrt()

    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        taylor_importance(model, ONES, loss=steep)


def test_inputs_of_another_shape_and_weights_that_are_not_finite_leave_the_model_alone(unchanged):
    model = SimpleCNN()
    with unchanged(model), pytest.raises(ValueError, match=r"^model must accept inputs of shape"):
        taylor_importance(model, random_split(shape=(3, 8, 8)))
    model.fc2.weight.data[0, 0] = math.nan
    sentence = (
        "weight of layer 'fc2' must be finite, got 1 NaN or infinite of 1280 values "
        "(the first at index (0, 0))."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        snip_importance(model, random_split())


def test_snip_of_a_model_without_any_weight_is_refused():
    sentence = (
        "model must have a weight whose removal changes the loss, got |gradient * weight| of 0 "
        "everywhere. Check that the weights are not all 0."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        snip_importance(two_weights(0.0, 0.0), ONES)

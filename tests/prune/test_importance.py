"""What counts as important: magnitude, noise, and ready tensors."""

import re

import pytest
import torch
from torch.nn.utils import prune as torch_prune

from lwlab.prune import (
    RandomImportance,
    layer_importances,
    magnitude,
    random_importance,
    topk_mask,
)


def test_magnitude_is_the_absolute_value():
    assert torch.equal(magnitude(torch.tensor([-2.0, 0.5, -0.0])), torch.tensor([2.0, 0.5, 0.0]))


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.93])
def test_random_masks_are_those_of_torch_with_the_same_generator(sparsity):
    weight = torch.ones(7, 11)
    layer = torch.nn.Linear(11, 7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        torch_prune.random_unstructured(layer, "weight", amount=round(sparsity * 77))
    importance = random_importance(weight, generator=torch.Generator().manual_seed(3))
    assert torch.equal(topk_mask(importance, sparsity), layer.weight_mask.bool())


def test_random_importance_keeps_dtype_and_stays_within_zero_and_one():
    noise = random_importance(torch.zeros(1000, dtype=torch.float64))
    assert noise.dtype == torch.float64
    assert 0 < noise.min() < 0.1
    assert 0.9 < noise.max() <= 1


def test_seeded_noise_repeats_but_differs_between_layers_of_one_shape_and_between_seeds():
    weights = {"a": torch.zeros(50), "b": torch.zeros(50)}
    first = layer_importances(weights, RandomImportance(seed=1))
    again = layer_importances(weights, RandomImportance(seed=1))
    other = layer_importances(weights, RandomImportance(seed=2))
    assert torch.equal(first["a"], again["a"])
    assert not torch.equal(first["a"], first["b"])
    assert not torch.equal(first["a"], other["a"])


def test_seeded_noise_of_a_layer_does_not_depend_on_the_other_layers():
    both = layer_importances({"a": torch.zeros(9), "b": torch.zeros(9)}, RandomImportance(4))
    alone = layer_importances({"b": torch.ones(9)}, RandomImportance(4))
    assert torch.equal(both["b"], alone["b"])


def test_seeded_noise_leaves_the_global_stream_alone():
    before = torch.random.get_rng_state()
    layer_importances({"a": torch.zeros(9)}, RandomImportance(4))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_seed_that_is_no_count_is_refused():
    sentence = "seed must be a whole number of at least 0, got -1."
    with pytest.raises(ValueError, match=re.escape(sentence) + "$"):
        RandomImportance(seed=-1)


def test_a_function_is_called_on_each_weight_without_its_graph():
    weights = {"a": torch.tensor([-1.0, 2.0], requires_grad=True)}
    importance = layer_importances(weights, magnitude)["a"]
    assert importance.tolist() == [1.0, 2.0]
    assert not importance.requires_grad


def test_ready_tensors_are_taken_by_name_and_the_rest_passed_over():
    ready = {"a": torch.tensor([1.0]), "unused": torch.zeros(5)}
    assert layer_importances({"a": torch.zeros(1)}, ready) == {"a": torch.tensor([1.0])}


@pytest.mark.parametrize(
    ("importance", "kind", "sentence"),
    [
        (
            {"fc2": torch.ones(2, 3)},
            ValueError,
            "importance must hold each layer, got none for 'fc1'. Did you mean 'fc2'?",
        ),
        (
            lambda weight: weight.abs().sum(1),
            ValueError,
            "importance of layer 'fc1' must have the shape of its weight, (2, 3), got (2,).",
        ),
        (
            lambda weight: 1.0,
            TypeError,
            "importance of layer 'fc1' must be a tensor, got float.",
        ),
        (
            "magnitude",
            TypeError,
            (
                "importance must be a function of a weight, RandomImportance(seed) or a dict of "
                "tensors by layer name, got str. Try lwlab.prune.magnitude."
            ),
        ),
    ],
    ids=["missing layer", "wrong shape", "no tensor", "a text"],
)
def test_a_wrong_importance_is_told_in_one_sentence(importance, kind, sentence):
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        layer_importances({"fc1": torch.zeros(2, 3)}, importance)

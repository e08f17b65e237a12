"""Pruning further: pruned weights stay pruned, whatever the criterion says."""

import re

import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import SimpleCNN
from lwlab.prune import (
    RandomImportance,
    apply_masks_,
    choose_masks,
    current_masks,
    mask_model_,
    taylor_importance,
)
from lwlab.prune.further import prune_further_, pruned_share
from lwlab.prune.targets import select_targets


def network(*weights) -> nn.Sequential:
    """Linear layers without biases, with these rows."""
    layers = [nn.Linear(len(rows[0]), len(rows), bias=False) for rows in weights]
    for layer, rows in zip(layers, weights, strict=True):
        layer.weight.data = torch.tensor(rows)
    return nn.Sequential(*layers)


def came_back(old, new):
    return any(bool((new[name] & ~old[name]).any()) for name in new)


def test_the_smallest_of_the_weights_that_are_left_go_next():
    model = network([[9.0, 1.0, 2.0, 3.0]])
    apply_masks_(model, {"0": torch.tensor([[False, True, True, True]])})
    masks = prune_further_(model, sparsity=0.5)
    assert masks["0"].tolist() == [[False, False, True, True]]
    assert torch.equal(current_masks(model)["0"], masks["0"])


def test_an_unmasked_model_is_pruned_as_by_mask_model_():
    model = SimpleCNN()
    expected = choose_masks(model, sparsity=0.4)
    masks = prune_further_(model, sparsity=0.4)
    assert all(torch.equal(masks[name], expected[name]) for name in expected)


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize(
    "importance",
    [RandomImportance(3), lambda weight: -weight.abs(), lambda weight: weight.long()],
    ids=["random", "smallest kept", "whole numbers"],
)
def test_counts_are_exact_and_nothing_comes_back_under_any_criterion(importance, scope):
    model = SimpleCNN(width=8)
    old = mask_model_(model, sparsity=0.5, scope=scope)
    new = prune_further_(model, sparsity=0.75, scope=scope, importance=importance)
    assert not came_back(old, new)
    sizes = {name: mask.numel() for name, mask in new.items()}
    pruned = {name: int((~mask).sum()) for name, mask in new.items()}
    if scope == "layer":
        assert pruned == {name: round(0.75 * size) for name, size in sizes.items()}
    assert sum(pruned.values()) == round(0.75 * sum(sizes.values()))


def test_a_kept_weight_of_lowest_importance_never_ties_with_a_pruned_one():
    model = network([[1.0, 2.0, 3.0, 4.0]])
    apply_masks_(model, {"0": torch.tensor([[True, True, True, False]])})
    scores = {"0": torch.full((1, 4), -torch.inf)}
    masks = prune_further_(model, sparsity=0.25, importance=scores)
    assert masks["0"].tolist() == [[True, True, True, False]]


def test_a_function_of_the_model_scores_by_data():
    dataset = data.load("digits")
    model = SimpleCNN(width=8)
    old = mask_model_(model, sparsity=0.5)
    expected = taylor_importance(model, dataset.train.take(64))
    masks = prune_further_(
        model,
        sparsity=0.6,
        scope="layer",
        layers=["fc1"],
        model_importance=lambda model: taylor_importance(model, dataset.train.take(64)),
    )
    assert list(masks) == ["fc1"]
    gone = old["fc1"] & ~masks["fc1"]
    assert expected["fc1"][gone].max() <= expected["fc1"][masks["fc1"]].min()


def test_a_dict_of_sparsities_leaves_other_layers_alone():
    model = network([[1.0, 2.0]], [[1.0], [2.0]])
    prune_further_(model, sparsity={"1": 0.5})
    assert {name: mask.tolist() for name, mask in current_masks(model).items()} == {
        "1": [[False], [True]]
    }


def test_the_pruned_share_is_counted_over_all_weights():
    model = network([[1.0, 2.0]], [[1.0], [2.0]])
    targets = select_targets(model).values()
    assert pruned_share(targets) == 0.0
    prune_further_(model, sparsity={"1": 0.5})
    assert pruned_share(targets) == 0.25


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (
            {"sparsity": 0.25},
            ValueError,
            (
                "sparsity must be at least 0.5, which is pruned already, got 0.25. To bring "
                "weights back, use mask_model_."
            ),
        ),
        (
            {"sparsity": 0.25, "scope": "layer"},
            ValueError,
            (
                "sparsity of layer '0' must be at least 0.5, which is pruned already, got 0.25. To "
                "bring weights back, use mask_model_."
            ),
        ),
        (
            {"sparsity": 50},
            ValueError,
            "sparsity must be a fraction in [0, 1), got 50.0. Did you mean 0.5?",
        ),
        (
            {"sparsity": {"0": -0.5}},
            ValueError,
            "sparsity of layer '0' must be a fraction in [0, 1), got -0.5.",
        ),
        (
            {"sparsity": {"0": 0.5}, "layers": ["0"]},
            ValueError,
            "layers must be left out with a dict as sparsity, which names them.",
        ),
        (
            {"sparsity": 0.6, "scope": "row"},
            ValueError,
            "scope must be one of 'global' or 'layer', got 'row'.",
        ),
        (
            {"sparsity": 0.6, "importance": torch.abs, "model_importance": dict},
            ValueError,
            "importance must be left out with model_importance, got both.",
        ),
        (
            {"sparsity": 0.6, "model_importance": {"0": torch.ones(1, 4)}},
            TypeError,
            (
                "model_importance must be a function of the model, got dict. Ready tensors by "
                "layer name go to importance."
            ),
        ),
        (
            {"sparsity": 0.6, "model_importance": lambda model: {"0": torch.ones(4)}},
            ValueError,
            "importance of layer '0' must have the shape of its weight, (1, 4), got (4,).",
        ),
        (
            {"sparsity": 0.6, "model_importance": lambda model: torch.ones(4)},
            TypeError,
            "model_importance must return tensors by layer name, got Tensor.",
        ),
        (
            {"sparsity": 0.6, "importance": lambda weight: weight * torch.nan},
            ValueError,
            "importance of layer '0' must not hold NaN, got 2 NaN of 4 values.",
        ),
    ],
)
def test_a_wrong_argument_changes_nothing(arguments, kind, sentence, unchanged):
    model = network([[1.0, 2.0, 3.0, 4.0]])
    mask_model_(model, sparsity=0.5)
    with unchanged(model), pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        prune_further_(model, **arguments)

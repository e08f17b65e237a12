import copy
import re

import pytest
import torch
from torch import nn

from lwlab import data, measure, prune
from lwlab.models import SimpleCNN, compressible_layers
from lwlab.prune.comparing import (
    CHANNEL_CRITERIA,
    WEIGHT_CRITERIA,
    ComparisonRow,
    channel_masks,
    compare_criteria,
)
from lwlab.train import fit


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def models(digits):
    made = []
    for seed in range(2):
        model = SimpleCNN(width=4, hidden=16, seed=seed)
        for _ in fit(model, digits, epochs=4, seed=seed):
            pass
        made.append(model)
    return made


def test_channel_masks_prune_the_exact_count_of_whole_channels():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    masks = channel_masks(model, {"0": torch.tensor([4.0, 1.0, 3.0, 2.0])}, 0.5)
    assert list(masks) == ["0"]
    assert masks["0"].tolist() == [[True] * 3, [False] * 3, [True] * 3, [False] * 3]


@pytest.mark.parametrize(
    "criteria", [CHANNEL_CRITERIA, WEIGHT_CRITERIA], ids=["channels", "weights"]
)
def test_every_criterion_cuts_the_same_share_of_the_same_layers(
    models, digits, criteria, monkeypatch
):
    seen = []

    def spy(model, split):
        seen.append(
            {layer.name: int((layer.weight != 0).sum()) for layer in compressible_layers(model)}
        )
        return measure.accuracy(model, split)

    monkeypatch.setattr("lwlab.prune.comparing.accuracy", spy)
    rows = list(compare_criteria(models, digits, criteria, sparsities=[0.5]))
    assert [(row.criterion, row.seed) for row in rows] == [
        (name, seed) for seed in (0, 1) for name in criteria
    ]
    weights = {layer.name: layer.weight.numel() for layer in compressible_layers(models[0])}
    half = {name: count // 2 for name, count in weights.items()}
    assert seen == [{**half, "fc2": weights["fc2"]}] * len(rows)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_row_is_what_cutting_scoring_and_recovering_by_hand_gives(models, digits, seed):
    rows = compare_criteria(
        models,
        digits,
        {"filter norm": CHANNEL_CRITERIA["filter norm"]},
        sparsities=[0.25],
        recover_epochs=1,
    )
    pruned = copy.deepcopy(models[seed])
    masks = {
        name: prune.channel_mask(getattr(pruned, name).weight.detach(), 0.25)
        for name in ("conv1", "conv2", "fc1")
    }
    prune.apply_masks_(pruned, masks)
    as_cut = measure.accuracy(pruned, digits.validation).value
    for _ in fit(pruned, digits, epochs=1, seed=seed):
        pass
    recovered = measure.accuracy(pruned, digits.validation).value
    assert list(rows)[seed] == ComparisonRow("filter norm", 0.25, seed, as_cut, recovered)
    assert as_cut != recovered


def test_without_recovery_both_accuracies_are_one_and_another_split_can_be_asked_for(
    models, digits
):
    criteria = {"random": CHANNEL_CRITERIA["random"]}
    [on_validation] = compare_criteria(models[:1], digits, criteria, sparsities=[0.5])
    [on_test] = compare_criteria(models[:1], digits, criteria, sparsities=[0.5], split=digits.test)
    assert on_validation.as_cut == on_validation.recovered
    assert on_test.as_cut * 500 == pytest.approx(round(on_test.as_cut * 500))
    assert on_test.as_cut != on_validation.as_cut


def test_random_differs_by_seed_and_the_models_are_left_as_they_are(models, digits, unchanged):
    one, other = (CHANNEL_CRITERIA["random"](models[0], digits, seed) for seed in (0, 1))
    assert not torch.equal(one["conv1"], other["conv1"])
    with unchanged(models[0]):
        list(compare_criteria(models[:1], digits, sparsities=[0.5], recover_epochs=1))


def test_bad_arguments_are_told_at_the_call(models, digits):
    sentence = "sparsities must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        compare_criteria(models, digits, sparsities=[30])
    sentence = "models must have at least two layers to cut all but the last, got Linear with 1."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        compare_criteria([nn.Linear(64, 10)], digits, sparsities=[0.5])


@pytest.mark.parametrize(
    "criteria", [CHANNEL_CRITERIA, WEIGHT_CRITERIA], ids=["channels", "weights"]
)
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.7, 0.85])
def test_cuts_are_of_equal_count_where_the_share_is_no_whole_number(
    models, digits, criteria, sparsity, monkeypatch
):
    zeros = []

    def spy(model, split):
        zeros.append({layer.name: layer.weight == 0 for layer in compressible_layers(model)})
        return measure.Accuracy(1, 1)

    monkeypatch.setattr("lwlab.prune.comparing.accuracy", spy)
    list(compare_criteria(models[:1], digits, criteria, sparsities=[sparsity]))
    assert len(zeros) == len(criteria)
    for layer in compressible_layers(models[0])[:-1]:
        weights = layer.weight[0].numel() if criteria is CHANNEL_CRITERIA else 1
        things = layer.weight.numel() // weights
        for one in zeros:
            assert int(one[layer.name].sum()) == round(sparsity * things) * weights
    if criteria is CHANNEL_CRITERIA:
        rows = [one[name].flatten(1) for one in zeros for name in ("conv1", "conv2", "fc1")]
        assert all(torch.equal(row.all(dim=1), row.any(dim=1)) for row in rows)


def test_the_named_layers_alone_are_cut(models, digits, monkeypatch):
    seen = []

    def spy(model, split):
        seen.append([la.name for la in compressible_layers(model) if bool((la.weight == 0).any())])
        return measure.Accuracy(1, 1)

    monkeypatch.setattr("lwlab.prune.comparing.accuracy", spy)
    one = {"random": CHANNEL_CRITERIA["random"]}
    for layers in (["fc1"], ["fc2", "conv1", "fc1", "conv1"]):
        list(compare_criteria(models[:1], digits, one, sparsities=[0.5], layers=iter(layers)))
    assert seen == [["fc1"], ["conv1", "fc1", "fc2"]]


def test_weight_entropy_keeps_the_units_that_learned_nothing():
    # Two units at their uniform initial weights, two that training gave a few large ones.
    untrained = torch.linspace(-1, 1, 64).repeat(2, 1)
    trained = torch.zeros(2, 64)
    trained[:, ::16] = 3.0
    model = nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 2))
    model[0].weight.data = torch.cat([untrained, trained])
    scores = CHANNEL_CRITERIA["weight entropy"](model, None, 0)
    mask = channel_masks(model, {"0": scores["0"]}, 0.5)["0"]
    assert mask[:, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"models": []}, ValueError, "models must hold at least one trained network, got none."),
        (
            {"models": nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 10))},
            TypeError,
            "models must be a list, got a single trained network. Put it into [ ].",
        ),
        ({"models": [3]}, TypeError, "models must be a torch.nn.Module, got int."),
        ({"sparsities": []}, ValueError, "sparsities must hold at least one fraction, got none."),
        (
            {"sparsities": 0.5},
            TypeError,
            "sparsities must be a list, got a single fraction. Put it into [ ].",
        ),
        ({"layers": []}, ValueError, "layers must hold at least one name, got none."),
        (
            {"layers": "fc1"},
            TypeError,
            "layers must be a list, got a single name. Put it into [ ].",
        ),
        (
            {"layers": ["conv3"]},
            ValueError,
            (
                "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'conv3'. "
                "Did you mean 'conv2'?"
            ),
        ),
        (
            {"recover_epochs": -1},
            ValueError,
            "recover_epochs must be a whole number of at least 0, got -1.",
        ),
    ],
)
def test_what_cannot_be_compared_is_told_at_the_call(models, digits, arguments, error, sentence):
    whole = {"models": models, "sparsities": [0.5]} | arguments
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        compare_criteria(whole.pop("models"), digits, **whole)


def test_a_criterion_that_leaves_a_layer_out_is_named(models, digits):
    def half(model, dataset, seed):
        return {"conv1": torch.rand(4), "conv2": torch.rand(8)}

    sentence = "criteria must score each layer, got none of 'fc1' from 'half'."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        next(compare_criteria(models, digits, {"half": half}, sparsities=[0.5]))

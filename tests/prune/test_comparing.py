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


def test_a_row_is_what_cutting_scoring_and_recovering_by_hand_gives(models, digits):
    [row] = compare_criteria(
        models[:1],
        digits,
        {"filter norm": CHANNEL_CRITERIA["filter norm"]},
        sparsities=[0.25],
        recover_epochs=1,
    )
    pruned = copy.deepcopy(models[0])
    masks = {
        name: prune.channel_mask(getattr(pruned, name).weight.detach(), 0.25)
        for name in ("conv1", "conv2", "fc1")
    }
    prune.apply_masks_(pruned, masks)
    as_cut = measure.accuracy(pruned, digits.validation).value
    for _ in fit(pruned, digits, epochs=1, seed=0):
        pass
    recovered = measure.accuracy(pruned, digits.validation).value
    assert row == ComparisonRow("filter norm", 0.25, 0, as_cut, recovered)
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

import copy
import itertools
import random
import re

import pytest
import torch
from torch import nn

from lwlab import packing
from lwlab.data import Split
from lwlab.measure import Accuracy, packed_bytes, predictions, sparsity
from lwlab.models import SimpleCNN
from lwlab.prune import RandomImportance, magnitude, mask_model_
from lwlab.prune.allocation import allocate
from lwlab.prune.sensitivity import Sensitivity, scan_sensitivity


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def table(sparsities, **rows):
    """A sensitivity of 100 examples, 90 of them right, from the right ones of each layer."""
    points = tuple(tuple(None if c is None else Accuracy(c, 100) for c in r) for r in rows.values())
    return Sensitivity(Accuracy(90, 100), tuple(rows), tuple(sparsities), points)


def network(**sizes):
    """Linear layers without biases that are never run together."""
    torch.manual_seed(0)
    return nn.ModuleDict({name: nn.Linear(n, 10, bias=False) for name, n in sizes.items()})


@pytest.fixture
def scanned():
    """A network of noise, and a scan of it."""
    model = SimpleCNN((1, 8, 8), width=4, hidden=16)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    inputs = torch.randn(100, 1, 8, 8, generator=generator)
    split = Split(inputs, predictions(model, inputs))
    *_, sensitivity = scan_sensitivity(model, split, sparsities=(0.3, 0.6, 0.9))
    return model, sensitivity


def test_a_case_by_hand():
    # 100 and 300 weights. 200 of 400 must go. b at 0.9 alone (270) loses 30; b at 0.5 (150) and a
    # at 0.5 (50) lose 2 + 5; b at 0.5 and a at 0.9 (90) lose 2 + 20.
    sensitivity = table([0.5, 0.9], a=[85, 70], b=[88, 60])
    model = network(a=10, b=30)
    assert allocate(sensitivity, model, sparsity=0.5) == {"a": 0.5, "b": 0.5}
    assert allocate(sensitivity, model, sparsity=0.3) == {"a": 0.0, "b": 0.5}
    assert allocate(sensitivity, model, sparsity=0.51) == {"a": 0.9, "b": 0.5}
    assert allocate(sensitivity, model, sparsity=0.61) == {"a": 0.0, "b": 0.9}
    assert allocate(sensitivity, model, sparsity=0.0) == {"a": 0.0, "b": 0.0}


def test_a_higher_sparsity_that_scores_better_by_chance_is_not_better():
    # At 0.8 layer a has more right than at 0.4, and than unpruned: noise. It costs what 0.4 costs,
    # 4, so that b at 0.4, which costs 3, is the better one.
    sensitivity = table([0.4, 0.8], a=[86, 91], b=[87, 50])
    assert allocate(sensitivity, network(a=10, b=10), sparsity=0.2) == {"a": 0.0, "b": 0.4}


def test_among_equal_losses_there_are_no_extremes():
    sensitivity = table([0.5, 0.9], a=[90, 90], b=[90, 90])
    assert allocate(sensitivity, network(a=10, b=10), sparsity=0.45) == {"a": 0.5, "b": 0.5}


def test_points_that_were_not_measured_are_not_chosen():
    sensitivity = table([0.5, 0.9], a=[80, None], b=[None, 40])
    assert allocate(sensitivity, network(a=10, b=10), sparsity=0.6) == {"a": 0.5, "b": 0.9}


def best_by_trying_all(sensitivity, model, needed, gain):
    """Return the least loss of all combinations that reach ``needed``; None if none does."""
    losses, rows = {}, []
    for name in sensitivity.layers:
        lost, row = 0, [(name, 0.0)]
        losses[name, 0.0] = 0
        for s in sensitivity.sparsities:
            point = sensitivity.accuracy_at(name, s)
            if point is None:
                continue
            lost = max(lost, sensitivity.baseline.correct - point.correct)
            losses[name, s] = lost
            row.append((name, s))
        rows.append(row)
    reaching = [picks for picks in itertools.product(*rows) if gain(dict(picks)) >= needed]
    return min((sum(losses[p] for p in picks) for picks in reaching), default=None), losses


@pytest.mark.parametrize("seed", range(12))
def test_the_choice_is_the_best_of_all_combinations(seed):
    chooser = random.Random(seed)
    sparsities = [
        *sorted(chooser.sample([0.1, 0.2, 0.3, 0.5], 3)),
        chooser.choice([0.6, 0.9, 0.95]),
    ]
    sizes = {name: chooser.randrange(5, 80) for name in "abcd"}
    rows = {
        name: [chooser.choice([None, *range(20, 95)]) for _ in sparsities[:-1]]
        + [chooser.randrange(10, 60)]
        for name in sizes
    }
    sensitivity, model = table(sparsities, **rows), network(**sizes)
    target = chooser.choice([0.2, 0.4, 0.5, 0.55])
    needed = round(target * 10 * sum(sizes.values()))

    def pruned(choices):
        return sum(round(choices[name] * 10 * size) for name, size in sizes.items())

    best, losses = best_by_trying_all(sensitivity, model, needed, pruned)
    choices = allocate(sensitivity, model, sparsity=target)
    assert pruned(choices) >= needed
    assert sum(losses[pick] for pick in choices.items()) == best


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_the_written_file_meets_the_bytes_at_the_least_loss(scanned, share, tmp_path):
    model, sensitivity = scanned

    pruned = copy.deepcopy(model)

    def file_of(choices):
        mask_model_(pruned, sparsity=choices)
        return packing.save(pruned, tmp_path / "pruned.lwlab")

    target = round(share * packed_bytes(model))
    best, losses = best_by_trying_all(sensitivity, model, -target, lambda c: -file_of(c))
    choices = allocate(sensitivity, model, target_bytes=target)
    assert file_of(choices) <= target
    assert (tmp_path / "pruned.lwlab").stat().st_size <= target
    assert sum(losses[pick] for pick in choices.items()) == best


def test_bytes_are_those_of_the_weights_that_the_importance_prunes(scanned):
    model, sensitivity = scanned
    with (
        torch.no_grad()
    ):  # half of them are 0 already: magnitude prunes these first, noise does not
        model.fc1.weight[:, ::2] = 0
        model.conv2.weight[:, ::2] = 0
    target = round(0.75 * packed_bytes(model))
    found = []
    for importance in (magnitude, RandomImportance(1)):
        choices = allocate(sensitivity, model, target_bytes=target, importance=importance)
        pruned = copy.deepcopy(model)
        mask_model_(pruned, sparsity=choices, importance=importance)
        assert packed_bytes(pruned) <= target
        found.append(choices)
    assert found[0] != found[1]


def test_where_layers_do_not_pack_apart_the_choice_is_tightened(scanned, monkeypatch):
    model, sensitivity = scanned
    whole, extra = packed_bytes(model), 300
    target = round(0.7 * whole)
    loose = allocate(sensitivity, model, target_bytes=target)

    def longer_when_pruned(module):
        size = packed_bytes(module)
        return size + extra if isinstance(module, SimpleCNN) and size < whole else size

    pruned = copy.deepcopy(model)

    def file_of(choices):
        mask_model_(pruned, sparsity=choices)
        return longer_when_pruned(pruned)

    monkeypatch.setattr("lwlab.prune.allocation.packed_bytes", longer_when_pruned)
    tight = allocate(sensitivity, model, target_bytes=target)
    assert file_of(loose) > target >= file_of(tight)
    best, losses = best_by_trying_all(sensitivity, model, -target, lambda c: -file_of(c))
    assert sum(losses[pick] for pick in tight.items()) == best


def test_the_model_is_left_as_it_is(scanned, unchanged):
    model, sensitivity = scanned
    with unchanged(model):
        allocate(sensitivity, model, sparsity=0.5)
        allocate(sensitivity, model, target_bytes=packed_bytes(model) // 2)


def test_the_choices_go_straight_into_mask_model(scanned):
    model, sensitivity = scanned
    mask_model_(model, sparsity=allocate(sensitivity, model, sparsity=0.7))
    assert sparsity(model) >= 0.7


def test_the_highest_sparsity_of_the_scan_is_in_reach_though_each_layer_is_rounded():
    # 0.95 of 10, 30 and 50 weights are 9.5, 28.5 and 47.5: 10 + 28 + 48 of 90, and 85.5 of 90.
    sensitivity = table([0.95], a=[80], b=[70], c=[60])
    model = nn.ModuleDict(
        {n: nn.Linear(s, 1, bias=False) for n, s in zip("abc", (10, 30, 50), strict=True)}
    )
    assert allocate(sensitivity, model, sparsity=0.95) == {"a": 0.95, "b": 0.95, "c": 0.95}


def test_a_masked_layer_is_not_offered_to_lose_its_mask(scanned):
    model, _ = scanned
    mask_model_(model, sparsity={"fc1": 0.5})
    sensitivity = Sensitivity(
        Accuracy(90, 100), ("conv1", "fc1"), (0.3, 0.6), ((Accuracy(80, 100),) * 2,) * 2
    )
    assert allocate(sensitivity, model, sparsity=0.0) == {"conv1": 0.0, "fc1": 0.3}
    bare = Sensitivity.empty(Accuracy(90, 100), ["conv1", "fc1"], [0.3])
    with says(
        ValueError,
        "sensitivity must hold a point of each masked layer, got none of 'fc1'. "
        "Let the scan go on.",
    ):
        allocate(bare, model, sparsity=0.0)


def test_a_target_out_of_reach_says_what_is_reachable(scanned):
    sensitivity = table([0.5, 0.9], a=[80, None], b=[None, 40])
    with says(
        ValueError,
        "sparsity must be at most 0.7, which the highest measured points make together, got "
        "0.71. Scan higher sparsities, or with a larger tolerance.",
    ):
        allocate(sensitivity, network(a=10, b=10), sparsity=0.71)
    model, sensitivity = scanned
    pruned = copy.deepcopy(model)
    mask_model_(pruned, sparsity=0.9, scope="layer")
    smallest = packed_bytes(pruned)
    assert allocate(sensitivity, model, target_bytes=smallest)
    with says(
        ValueError,
        f"target_bytes must be at least {smallest:,}, the file that the highest measured points "
        f"make, got {smallest - 1:,}. Scan higher sparsities, or with a larger tolerance.",
    ):
        allocate(sensitivity, model, target_bytes=smallest - 1)


@pytest.mark.parametrize(
    ("target", "error", "sentence"),
    [
        ({}, ValueError, "exactly one of sparsity and target_bytes must be given, got none."),
        (
            {"sparsity": 0.5, "target_bytes": 9},
            ValueError,
            "exactly one of sparsity and target_bytes must be given, got both.",
        ),
        (
            {"sparsity": 30},
            ValueError,
            "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (
            {"target_bytes": 0.5},
            ValueError,
            "target_bytes must be a whole number of at least 1, got 0.5.",
        ),
    ],
)
def test_a_mistake_is_answered_by_one_sentence(scanned, target, error, sentence):
    model, sensitivity = scanned
    with says(error, sentence):
        allocate(sensitivity, model, **target)


def test_a_table_of_another_model_is_refused(scanned):
    model, sensitivity = scanned
    with says(ValueError, "layers must be one of 'a', got 'conv1'."):
        allocate(sensitivity, network(a=3), sparsity=0.5)
    with says(
        TypeError,
        "sensitivity must be a Sensitivity, got generator. Try the last one that "
        "scan_sensitivity yields.",
    ):
        allocate(scan_sensitivity(model, _split()), model, sparsity=0.5)


def _split():
    return Split(torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))

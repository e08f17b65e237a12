"""Lottery tickets: rounds of pruning and rewinding, and the control on fresh weights."""

import itertools
import re

import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import LeNet300, ResNet8, SimpleCNN
from lwlab.models.layers import plain_state, seeded
from lwlab.prune import current_masks, mask_model_
from lwlab.prune.lottery import find_ticket, reinitialized, remaining_after, reset_layers_
from lwlab.prune.rewinding import copied_state, rewind_
from lwlab.train import fit

DIGITS = data.load("digits")
SMALL = data.Dataset(
    "small",
    DIGITS.train.take(200),
    DIGITS.validation.take(100),
    DIGITS.test.take(50),
    DIGITS.class_names,
)
SIZES = {"fc1": 1920, "fc2": 300, "fc3": 100}


def network(seed=0):
    return LeNet300((1, 8, 8), width=30, seed=seed)


def rounds_of(model, **options):
    """Return for each round the masks and the state at its end."""
    return [
        (current_masks(model), copied_state(model), record)
        for record in find_ticket(model, SMALL, epochs=1, **options)
        if record.round_ends
    ]


# ---- counts --------------------------------------------------------------------------------------


def test_what_remains_after_rounds():
    assert remaining_after(0, 0.2) == 1.0
    assert remaining_after(3, 0.2) == pytest.approx(0.512)
    assert remaining_after(2, 0.5) == 0.25
    # The sizes in the paper's table for LeNet: 20 % of two layers, 10 % of the last, each round.
    left = [
        (235_200 + 30_000) * remaining_after(n) + 1000 * remaining_after(n, 0.1) for n in (7, 9, 11)
    ]
    assert [round(100 * count / 266_200, 2) for count in left] == [21.07, 13.52, 8.68]


def test_each_round_keeps_the_exact_share_of_each_layer():
    model = network()
    for number, (masks, _, record) in enumerate(rounds_of(model, rounds=3)):
        assert record.round_number == number
        assert record.rounds == 3
        kept = {name: int(mask.sum()) for name, mask in masks.items()} if masks else SIZES
        assert kept == {
            name: size - round((1 - 0.8**number) * size) for name, size in SIZES.items()
        }
        assert record.weights_left == pytest.approx(sum(kept.values()) / 2320)


def test_a_dict_of_rates_prunes_the_last_layer_at_half_the_rate():
    model = network()
    rounds_of(model, rounds=2, rate={"fc1": 0.2, "fc3": 0.1})
    masks = current_masks(model)
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    assert kept == {"fc1": 1920 - round(0.36 * 1920), "fc3": 81}


def test_the_global_scope_counts_over_all_layers():
    model = network()
    rounds_of(model, rounds=2, rate=0.5, scope="global")
    masks = current_masks(model)
    assert sum(int(mask.sum()) for mask in masks.values()) == 580
    assert len({round(float(mask.float().mean()), 3) for mask in masks.values()}) == 3


def test_a_masked_model_loses_a_share_of_what_it_has_left():
    model = network()
    mask_model_(model, sparsity=0.5, scope="layer")
    rounds_of(model, rounds=1)
    assert {n: int(m.sum()) for n, m in current_masks(model).items()} == {
        "fc1": 768,
        "fc2": 120,
        "fc3": 40,
    }


# ---- what a round does ---------------------------------------------------------------------------


def test_a_round_prunes_the_smallest_trained_weights_and_trains_from_the_initial_ones():
    model, twin = network(), network()
    initial = copied_state(twin)
    rounds_of(model, rounds=1, rate=0.3, seed=2)
    for _ in fit(twin, SMALL, epochs=1, seed=2000):
        pass
    mask_model_(twin, sparsity=0.3, scope="layer")
    rewind_(twin, initial)
    for _ in fit(twin, SMALL, epochs=1, seed=2001):
        pass
    one, two = plain_state(model), plain_state(twin)
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_pruned_weights_stay_pruned_from_round_to_round():
    found = rounds_of(network(), rounds=3, rate=0.4)
    for (before, _, _), (after, _, _) in itertools.pairwise(found[1:]):
        assert not any(bool((after[name] & ~before[name]).any()) for name in after)


def test_the_first_step_of_each_round_starts_at_the_initial_weights():
    model = network()
    initial, starts = copied_state(model), {}
    # At learning rate 1e-12 the weights do not leave their place.
    for record in find_ticket(model, SMALL, rounds=2, epochs=1, learning_rate=1e-12):
        starts[record.round_number] = copied_state(model)
    masks = current_masks(model)
    for name, mask in masks.items():
        weight = starts[2][f"{name}.weight"]
        torch.testing.assert_close(weight[mask], initial[f"{name}.weight"][mask])
        assert not weight[~mask].any()


def test_the_same_seed_finds_the_same_ticket():
    one, two, other = (rounds_of(network(), rounds=2, seed=s)[-1][0] for s in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_break_leaves_a_ticket_that_can_be_rewound():
    model = network()
    initial = copied_state(model)
    for record in find_ticket(model, SMALL, rounds=3, epochs=1, steps_per_record=1):
        if record.round_number == 1 and record.training.step == 2:
            break
    assert not record.round_ends
    rewind_(model, initial)
    kept = torch.cat([mask.flatten() for mask in current_masks(model).values()])
    assert float(kept.double().mean()) == pytest.approx(record.weights_left)
    assert model.fc1.weight[current_masks(model)["fc1"]].equal(
        initial["fc1.weight"][current_masks(model)["fc1"]]
    )


def test_nothing_is_changed_before_the_first_record(unchanged):
    model = network()
    with unchanged(model):
        find_ticket(model, SMALL, rounds=1)


def test_residual_networks_are_rewound_with_their_batch_normalization():
    model = ResNet8((1, 8, 8), width=4)
    rounds_of(model, rounds=1)
    assert float(model.bn.running_mean.abs().sum()) > 0
    assert int(model.bn.num_batches_tracked) == 4  # those of the last round alone


# ---- the control ---------------------------------------------------------------------------------


def test_the_control_has_the_same_masks_and_other_weights(unchanged):
    model = SimpleCNN(width=4)
    mask_model_(model, sparsity=0.7)
    with unchanged(model):
        control = reinitialized(model, seed=5)
    masks, same = current_masks(model), current_masks(control)
    assert all(torch.equal(masks[name], same[name]) for name in masks)
    fresh = SimpleCNN(width=4, seed=5)  # its layers are drawn in the same order
    assert torch.equal(control.fc1.weight, torch.where(masks["fc1"], fresh.fc1.weight, 0))
    assert torch.equal(control.fc2.bias, fresh.fc2.bias)
    twin, other = reinitialized(model, seed=5), reinitialized(model, seed=6)
    assert torch.equal(control.fc1.weight, twin.fc1.weight)
    assert not torch.equal(control.fc1.weight, other.fc1.weight)


def test_the_control_takes_an_initialization_of_the_callers():
    model = network()
    mask_model_(model, sparsity=0.5)

    def glorot(plain):
        assert current_masks(plain) == {}
        for layer in (plain.fc1, plain.fc2, plain.fc3):
            nn.init.xavier_normal_(layer.weight)

    control = reinitialized(model, seed=1, initialize=glorot)
    with seeded(1):
        expected = nn.init.xavier_normal_(torch.empty(30, 64))
    mask = current_masks(model)["fc1"]
    assert torch.equal(control.fc1.weight[mask], expected[mask])


def test_resetting_draws_all_layers_and_the_statistics_of_batch_normalization():
    model = ResNet8((1, 8, 8), width=4)
    rounds_of(model, rounds=1)
    control = reinitialized(model, seed=0)
    assert not control.bn.running_mean.any()
    assert control.bn.weight.eq(1).all()


# ---- errors --------------------------------------------------------------------------------------


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


def test_a_layer_that_cannot_be_drawn_anew_is_named_before_any_is(unchanged):
    model = nn.Sequential(nn.Linear(2, 2), Bare())
    sentence = (
        "layer '1' must have a reset_parameters method to be drawn anew, got Bare without one. "
        "Pass initialize=... to reinitialized."
    )
    with unchanged(model), pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        reset_layers_(model)


def test_a_control_needs_masks():
    sentence = (
        "model must have masks to be reinitialized, got one without any. "
        "Try prune.mask_model_ first."
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        reinitialized(network(), seed=0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-1, 0.2), "rounds must be a whole number of at least 0, got -1."),
        ((2, 20), "rate must be a fraction in [0, 1), got 20.0. Did you mean 0.2?"),
    ],
)
def test_a_share_of_nothing_sensible_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        remaining_after(*arguments)


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"rounds": 0}, ValueError, "rounds must be a whole number of at least 1, got 0."),
        (
            {"rounds": 1, "rate": 20},
            ValueError,
            "rate must be a fraction in [0, 1), got 20.0. Did you mean 0.2?",
        ),
        (
            {"rounds": 1, "rate": {"fc3": 1}},
            ValueError,
            "rate of layer 'fc3' must be a fraction in [0, 1), got 1.0.",
        ),
        (
            {"rounds": 1, "rate": {"fc3": 0.1}, "layers": ["fc3"]},
            ValueError,
            "layers must be left out with a dict as rate, which names them.",
        ),
        (
            {"rounds": 1, "scope": "all"},
            ValueError,
            "scope must be one of 'layer' or 'global', got 'all'.",
        ),
        (
            {"rounds": 1, "seed": 0.5},
            ValueError,
            "seed must be a whole number of at least 0, got 0.5.",
        ),
        (
            {"rounds": 1, "epochs": 0},
            ValueError,
            "epochs must be a whole number of at least 1, got 0.",
        ),
    ],
)
def test_a_wrong_argument_is_refused_at_the_call(options, kind, sentence, unchanged):
    model = network()
    with unchanged(model), pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        find_ticket(model, SMALL, **options)


def test_a_weight_that_could_not_be_rewound_is_refused_at_the_call():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), nn.utils.parametrizations.orthogonal(nn.Linear(8, 10))
    )
    sentence = (
        "tensor '2.weight' must be plain or masked to be rewound, got one under _Orthogonal. "
        "Remove that first."
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        find_ticket(model, SMALL, rounds=1, layers=["1"])

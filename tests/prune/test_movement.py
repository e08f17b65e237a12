"""Movement pruning: scores that learn where weights go, and the masks they make."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab import data, measure, packing
from lwlab.models import LeNet300, SimpleCNN
from lwlab.prune import apply_masks_, bake_, cubic, current_masks, mask_model_, topk_mask
from lwlab.prune.movement import (
    LearnedMask,
    current_scores,
    fix_masks_,
    learn_masks_,
    movement_gradient,
    set_sparsity_,
)
from lwlab.train import fit

DIGITS = data.load("digits")
IMAGES = DIGITS.train.inputs[:32]


def sgd(parameters, learning_rate):
    return torch.optim.SGD(parameters, learning_rate)


def linear(weight) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return layer


def learning(sparsity=None, **options) -> nn.Module:
    """A small network whose scores have learned for a few steps."""
    model = LeNet300((1, 8, 8), width=30)
    learn_masks_(model, **options)
    next(fit(model, DIGITS, epochs=1, steps_per_record=5, learning_rate=0.05, optimizer=sgd))
    if sparsity is not None:
        set_sparsity_(model, sparsity)
    return model


# ---- the rule ------------------------------------------------------------------------------------


def test_the_gradient_of_a_score_is_gradient_times_weight():
    weight, gradient = torch.tensor([2.0, -3.0, 0.0]), torch.tensor([0.5, 0.25, 7.0])
    assert movement_gradient(weight, gradient).tolist() == [1.0, -0.75, 0.0]


def test_one_step_of_descent_raises_the_score_of_a_weight_that_moves_away_from_zero():
    layer = linear([[2.0, 2.0, -1.0, -1.0]])
    learn_masks_(layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    # The loss is 0.5 w0 - 0.5 w1 + 1 w2 - 1 w3, so that its gradient is known.
    (layer.weight * torch.tensor([[0.5, -0.5, 1.0, -1.0]])).sum().backward()
    optimizer.step()
    # -0.1 * gradient * weight: towards zero, away, away, towards.
    expected = torch.tensor([[-0.1, 0.1, 0.1, -0.1]])
    torch.testing.assert_close(current_scores(layer)["model"], expected)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[1.95, 2.05, -1.1, -0.9]]))
    set_sparsity_(layer, 0.5)
    assert (layer.weight != 0).tolist() == [[False, True, True, False]]


def test_a_pruned_weight_stands_still_while_its_score_moves_and_brings_it_back():
    layer = linear([[2.0, 2.0]])
    learn_masks_(layer)
    set_sparsity_(layer, 0.5)  # all scores are 0: the first position goes
    assert layer.weight.tolist() == [[0.0, 2.0]]
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    (layer.weight * torch.tensor([[-1.0, 0.0]])).sum().backward()
    optimizer.step()
    assert layer.parametrizations["weight"].original.tolist() == [[2.0, 2.0]]
    torch.testing.assert_close(current_scores(layer)["model"], torch.tensor([[0.2, 0.0]]))
    assert layer.weight.tolist() == [[2.0, 0.0]]


def test_gradients_agree_with_a_reference_written_out_by_the_chain_rule():
    model = learning(0.6)
    inputs, targets = IMAGES, DIGITS.train.targets[:32]
    model.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    # The reference: a plain network with the effective weights as leaves of their own.
    effective = {n: getattr(model, n).weight.detach().requires_grad_() for n in ("fc1", "fc2")}
    last = model.fc3.weight.detach().requires_grad_()
    x = inputs.flatten(1)
    for name, weight in effective.items():
        x = F.relu(x @ weight.T + getattr(model, name).bias.detach())
    loss = F.cross_entropy(x @ last.T + model.fc3.bias.detach(), targets)
    loss.backward()
    for name, weight in {**effective, "fc3": last}.items():
        chain = getattr(model, name).parametrizations["weight"]
        original, part = chain.original, chain[0]
        slow = torch.zeros_like(weight)
        for i in range(weight.shape[0]):
            for j in range(weight.shape[1]):
                slow[i, j] = weight.grad[i, j] * original[i, j]
        torch.testing.assert_close(part.scores.grad, slow.detach(), rtol=1e-4, atol=1e-7)
        kept = part.mask()
        expected = torch.where(kept, weight.grad, torch.zeros(()))
        torch.testing.assert_close(original.grad, expected, rtol=1e-4, atol=1e-7)
        assert part.scores.grad[~kept].any()  # a pruned weight's score learns on


# ---- counts --------------------------------------------------------------------------------------


def test_scores_start_at_zero_and_nothing_is_pruned():
    model, plain = SimpleCNN(), SimpleCNN()
    learn_masks_(model)
    assert list(current_scores(model)) == ["conv1", "conv2", "fc1", "fc2"]
    assert not any(bool(scores.any()) for scores in current_scores(model).values())
    assert torch.equal(model(IMAGES), plain(IMAGES))


def test_each_layer_prunes_its_exact_share_of_the_lowest_scores():
    model = learning(0.7)
    for name, scores in current_scores(model).items():
        weight = getattr(model, name).weight
        assert int((weight == 0).sum()) == round(0.7 * weight.numel())
        assert torch.equal(weight != 0, topk_mask(scores, 0.7))


def test_a_dict_gives_each_layer_its_own_and_leaves_the_others():
    model = learning(0.5)
    set_sparsity_(model, {"fc1": 0.9})
    zeros = {n: int((getattr(model, n).weight == 0).sum()) for n in ("fc1", "fc2")}
    assert zeros == {"fc1": round(0.9 * 64 * 30), "fc2": 150}


def test_the_global_scope_lets_the_scores_of_all_layers_compete():
    model = learning()
    set_sparsity_(model, 0.6, scope="global")
    scores = torch.cat([s.flatten() for s in current_scores(model).values()])
    masks = fix_masks_(model)
    kept = torch.cat([mask.flatten() for mask in masks.values()])
    assert int((~kept).sum()) == round(0.6 * len(kept))
    assert scores[kept].min() >= scores[~kept].max()
    assert len({float((~mask).float().mean()) for mask in masks.values()}) > 1


def test_counts_are_rounded_and_not_cut_off():
    model = learning(0.336)  # of 100 weights 33.6
    assert int((model.fc3.weight == 0).sum()) == 34
    set_sparsity_(model, {"fc3": 0.334})
    assert int((model.fc3.weight == 0).sum()) == 33


def test_the_sparsity_may_fall_again():
    model = learning(0.9)
    set_sparsity_(model, 0.0)
    assert all(bool(mask.all()) for mask in fix_masks_(model).values())


# ---- in training ---------------------------------------------------------------------------------


def train_movement(model, epochs=6, final=0.8):
    learn_masks_(model)
    for record in fit(model, DIGITS, epochs=epochs, steps_per_record=4):
        progress = min(1, 1.5 * record.step / record.total_steps)
        set_sparsity_(model, cubic(progress, final))
    return record


def test_fit_trains_weights_and_scores_and_the_network_learns():
    model = SimpleCNN(width=16, hidden=64)
    record = train_movement(model, epochs=12)
    assert record.validation_accuracy > 0.85
    assert measure.sparsity(model) == pytest.approx(0.8, abs=1e-3)
    assert all(bool(scores.any()) for scores in current_scores(model).values())


def test_the_same_seed_gives_the_same_scores():
    one, two = SimpleCNN(width=4), SimpleCNN(width=4)
    train_movement(one, epochs=1)
    train_movement(two, epochs=1)
    first, second = current_scores(one), current_scores(two)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_frozen_weights_stay_and_only_the_choice_is_trained():
    model = LeNet300((1, 8, 8), width=30)
    model.requires_grad_(False)
    before = model.fc1.weight.clone()
    learn_masks_(model)
    next(fit(model, DIGITS, epochs=1, steps_per_record=3))
    assert torch.equal(model.fc1.weight, before)
    assert current_scores(model)["fc1"].any()


# ---- the end -------------------------------------------------------------------------------------


def test_the_fixed_model_computes_the_same_and_is_an_ordinary_masked_one():
    model = learning(0.7)
    parameter = model.fc1.parametrizations["weight"].original
    model.eval()
    before, state = model(IMAGES), copy.deepcopy(model.state_dict())
    masks = fix_masks_(model)
    assert torch.equal(model(IMAGES), before)
    assert model.fc1.parametrizations["weight"].original is parameter
    assert torch.equal(parameter, state["fc1.parametrizations.weight.original"])
    present = current_masks(model)
    assert all(torch.equal(present[name], masks[name]) for name in masks)
    assert list(present) == ["fc1", "fc2", "fc3"]
    assert current_scores(model) == {}
    assert sum(1 for _ in model.parameters()) == 6
    mask_model_(model, sparsity=0.0)
    assert model.fc1.weight.all()  # the originals of pruned weights are still there


def test_the_fixed_model_bakes_and_packs():
    model = learning(0.7)
    prepared = packing.to_bytes(model)
    fix_masks_(model)
    assert packing.to_bytes(model) == prepared
    bake_(model)
    assert type(model.fc1) is nn.Linear
    loaded = LeNet300((1, 8, 8), width=30)
    packing.from_bytes_(loaded, prepared)
    assert torch.equal(loaded(IMAGES), model(IMAGES))


def test_a_deep_copy_is_independent():
    model = learning(0.5)
    twin = copy.deepcopy(model)
    set_sparsity_(twin, 0.9)
    fix_masks_(twin)
    bake_(twin)
    assert int((model.fc1.weight == 0).sum()) == 960
    assert int((twin.fc1.weight == 0).sum()) == round(0.9 * 1920)
    assert twin(IMAGES).shape == model(IMAGES).shape
    fix_masks_(model)
    assert int((~current_masks(model)["fc1"]).sum()) == 960


def test_a_state_dict_carries_scores_and_sparsity():
    model, other = learning(0.5), LeNet300((1, 8, 8), width=30, seed=5)
    learn_masks_(other)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(IMAGES), model(IMAGES))
    assert torch.equal(other.fc1.weight, model.fc1.weight)


def test_measuring_sees_the_effective_weights_and_leaves_the_model_alone(unchanged):
    model = learning(0.5)
    with unchanged(model):
        found = measure.accuracy(model, DIGITS.validation)
        parameters = measure.num_parameters(model)
    assert parameters == measure.num_parameters(LeNet300((1, 8, 8), width=30))
    fix_masks_(model)
    assert measure.accuracy(model, DIGITS.validation) == found


def test_a_value_assigned_to_the_weight_becomes_the_original():
    layer = linear([[1.0, 2.0]])
    learn_masks_(layer)
    set_sparsity_(layer, 0.5)
    layer.weight = torch.tensor([[5.0, 6.0]])
    assert layer.weight.tolist() == [[0.0, 6.0]]


def test_a_learned_mask_says_what_it_keeps():
    part = LearnedMask(torch.zeros(2, 4))
    part.pruned += 3
    assert repr(part) == "LearnedMask(keeps 5 of 8 by learned scores)"


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [set_sparsity_, fix_masks_], ids=["set", "fix"])
def test_a_model_without_scores_is_refused(change):
    sentence = (
        "model must be prepared to learn masks, got one without scores. "
        "Call prune.learn_masks_ first."
    )
    arguments = (0.5,) if change is set_sparsity_ else ()
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        change(SimpleCNN(), *arguments)


@pytest.mark.parametrize(
    "prepare",
    [learn_masks_, lambda model: apply_masks_(model, {"fc2": model.fc2.weight > 0})],
    ids=["learned", "plain"],
)
def test_a_model_with_masks_is_refused(prepare, unchanged):
    model = nn.Sequential()
    model.add_module("fc2", nn.Linear(2, 2))
    prepare(model)
    sentence = (
        "model must have no masks before it learns some, got one on layer 'fc2'. "
        "Make it permanent first, with fix_masks_ or bake_."
    )
    with (
        unchanged(model),
        pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"),
    ):
        learn_masks_(model)


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        ((30,), ValueError, "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"),
        (("much",), TypeError, "sparsity must be a fraction in [0, 1), got 'much'."),
        (
            ({"fc1": 1.0},),
            ValueError,
            "sparsity of layer 'fc1' must be a fraction in [0, 1), got 1.0.",
        ),
        (
            ({"fc1": 0.5, "fc9": 0.5},),
            ValueError,
            "sparsity must go by layers that learn a mask, got 'fc9'. There are: fc1, fc2, fc3.",
        ),
    ],
)
def test_a_wrong_sparsity_changes_nothing(arguments, kind, sentence, unchanged):
    model = learning(0.25)
    with unchanged(model), pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        set_sparsity_(model, *arguments)


def test_a_wrong_scope_is_refused():
    sentence = "scope must be one of 'global' or 'layer', got 'layers'. Did you mean 'layer'?"
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        set_sparsity_(learning(), 0.5, scope="layers")


def test_a_weight_that_is_not_finite_is_refused_before_anything_changes():
    model = LeNet300((1, 8, 8), width=30)
    with torch.no_grad():
        model.fc3.weight[1, 2] = float("nan")
    sentence = (
        "weight of layer 'fc3' must be finite, got 1 NaN or infinite of 100 values "
        "(the first at index (1, 2))."
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        learn_masks_(model)
    assert current_scores(model) == {}
    assert type(model.fc1) is nn.Linear


def test_no_module_is_refused():
    sentence = "model must be a torch.nn.Module, got int."
    for change in (learn_masks_, current_scores, fix_masks_):
        with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
            change(3)

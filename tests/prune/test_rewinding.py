"""Rewinding: kept weights at their initial values to the bit, masks as they were."""

import re

import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import LeNet300, ResNet8, SimpleCNN
from lwlab.models.layers import plain_state
from lwlab.prune import current_masks, mask_model_
from lwlab.prune.rewinding import copied_state, rewind_
from lwlab.train import fit

DIGITS = data.load("digits")
TAKE_IT = "Take it with prune.copied_state(model) before training."


def trained_and_masked(model, sparsity=0.6):
    """Return the initial state of ``model``, which is trained a little and masked."""
    initial = copied_state(model)
    next(fit(model, DIGITS, epochs=1, steps_per_record=3))
    mask_model_(model, sparsity=sparsity)
    next(fit(model, DIGITS, epochs=1, steps_per_record=3))
    return initial


def one_layer() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(2, 1))
    mask_model_(model, sparsity=0.5)
    return model


def state_of(model, **changes):
    return {**copied_state(model), **changes}


@pytest.mark.parametrize("make", [lambda: SimpleCNN(width=4), lambda: ResNet8((1, 8, 8), width=4)])
def test_kept_weights_are_the_initial_ones_to_the_bit_and_the_masks_stay(make):
    model = make()
    initial = trained_and_masked(model)
    masks, moved = current_masks(model), copied_state(model)
    rewind_(model, initial)
    after = plain_state(model)
    assert list(after) == list(initial)
    for name, tensor in initial.items():
        mask = masks.get(name.removesuffix(".weight"))
        if mask is None:  # biases, BatchNorm, its running statistics and its counter
            assert torch.equal(after[name], tensor), name
        else:
            assert torch.equal(after[name][mask], tensor[mask])
            assert not after[name][~mask].any()
            assert not torch.equal(after[name], moved[name])
    present = current_masks(model)
    assert all(torch.equal(present[name], masks[name]) for name in masks)


def test_a_weight_that_comes_back_later_has_its_initial_value():
    model = SimpleCNN(width=4)
    rewind_(model, trained_and_masked(model))
    mask_model_(model, sparsity=0.0)
    fresh = SimpleCNN(width=4)
    assert torch.equal(model.fc1.weight, fresh.fc1.weight)


def test_parameters_stay_the_same_objects_and_training_goes_on():
    model = SimpleCNN(width=4)
    initial = trained_and_masked(model)
    before = [id(parameter) for parameter in model.parameters()]
    rewind_(model, initial)
    assert [id(parameter) for parameter in model.parameters()] == before
    next(fit(model, DIGITS, epochs=1, steps_per_record=3))
    assert not torch.equal(model.fc2.bias, initial["fc2.bias"])


def test_rewinding_twice_is_rewinding_once_and_leaves_the_state_alone():
    model = LeNet300((1, 8, 8), width=9)
    initial = trained_and_masked(model)
    kept = {name: tensor.clone() for name, tensor in initial.items()}
    rewind_(model, initial)
    next(fit(model, DIGITS, epochs=1, steps_per_record=3))
    assert all(torch.equal(initial[name], kept[name]) for name in kept)
    rewind_(model, initial)
    assert torch.equal(plain_state(model)["fc1.bias"], kept["fc1.bias"])


def test_a_state_dict_of_a_fresh_model_serves_too():
    model = SimpleCNN(width=4)
    trained_and_masked(model)
    rewind_(model, SimpleCNN(width=4, seed=7).state_dict())
    mask = current_masks(model)["fc1"]
    assert torch.equal(model.fc1.weight[mask], SimpleCNN(width=4, seed=7).fc1.weight[mask])


def test_a_copied_state_shares_no_memory_and_holds_effective_weights():
    model = one_layer()
    state = copied_state(model)
    assert list(state) == ["0.weight", "0.bias"]
    assert int((state["0.weight"] == 0).sum()) == 1
    state["0.bias"] += 1
    assert not torch.equal(state["0.bias"], model[0].bias)


def test_a_model_without_masks_is_refused(unchanged):
    model = SimpleCNN(width=4)
    sentence = (
        "model must have masks to be rewound, got one without any. Try prune.mask_model_ first."
    )
    with unchanged(model), pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        rewind_(model, copied_state(model))


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        (
            lambda state: state.pop("0.bias"),
            ValueError,
            f"initial_state must hold the tensors of the model, got no '0.bias'. {TAKE_IT}",
        ),
        (
            lambda state: state.update({"0.gain": torch.ones(1)}),
            ValueError,
            f"initial_state must hold the tensors of the model, got an unknown '0.gain'. {TAKE_IT}",
        ),
        (
            lambda state: state.update({"0.weight": torch.ones(2, 1)}),
            ValueError,
            (
                "initial_state must fit the model, torch.float32 (1, 2) for '0.weight', got "
                "torch.float32 (2, 1)."
            ),
        ),
        (
            lambda state: state.update({"0.weight": torch.ones(1, 2).double()}),
            ValueError,
            (
                "initial_state must fit the model, torch.float32 (1, 2) for '0.weight', got "
                "torch.float64 (1, 2)."
            ),
        ),
        (
            lambda state: state.update({"0.weight": [1.0, 2.0]}),
            TypeError,
            "initial_state must hold tensors, got list as '0.weight'.",
        ),
        (
            lambda state: state.update({"0.bias": torch.tensor([torch.inf])}),
            ValueError,
            (
                "initial_state of '0.bias' must be finite, got 1 NaN or infinite of 1 values (the "
                "first at index (0,))."
            ),
        ),
    ],
    ids=["missing", "unknown", "shape", "dtype", "list", "infinite"],
)
def test_a_state_that_does_not_fit_changes_nothing(change, kind, sentence, unchanged):
    model = one_layer()
    state = {name: tensor + 1 for name, tensor in copied_state(model).items()}
    change(state)
    with unchanged(model), pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        rewind_(model, state)


def test_a_state_that_would_have_changed_with_the_model_is_refused():
    model = SimpleCNN(width=4)
    not_a_copy = plain_state(model)
    mask_model_(model, sparsity=0.5)
    sentence = (
        "initial_state must be a copy, got 'conv1.weight' in the memory of the model, where it "
        f"changes with it. {TAKE_IT}"
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        rewind_(model, not_a_copy)


def test_the_state_of_a_masked_model_by_torchs_own_names_is_refused():
    model = one_layer()
    sentence = f"initial_state must hold the tensors of the model, got no '0.weight'. {TAKE_IT}"
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        rewind_(model, {n: t.clone() for n, t in model.state_dict().items() if "weight" in n})


def test_a_weight_under_another_parametrization_is_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.utils.parametrizations.orthogonal(nn.Linear(2, 2)))
    mask_model_(model, sparsity=0.5, layers=["0"])
    sentence = (
        "tensor '1.weight' must be plain or masked to be rewound, got one under _Orthogonal. "
        "Remove that first."
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        rewind_(model, copied_state(model))

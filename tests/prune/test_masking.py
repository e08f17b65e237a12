"""Masks on whole models: exact counts, training, copies, files, and refusals."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from lwlab.models import LeNet300, ResNet8, SimpleCNN, compressible_layers, plain_state
from lwlab.prune import (
    RandomImportance,
    apply_masks_,
    bake_,
    choose_masks,
    current_masks,
    deviation_mask,
    magnitude,
    mask_model_,
    threshold_mask,
    topk_mask,
)


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of the effective weights by layer."""
    return {layer.name: layer.weight.detach().clone() for layer in compressible_layers(model)}


def zeros_in(weights: dict[str, torch.Tensor]) -> int:
    return sum(int((weight == 0).sum()) for weight in weights.values())


def train_(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        images = torch.randn(16, 1, 8, 8, generator=generator)
        targets = torch.randint(10, (16,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(images), targets).backward()
        optimizer.step()


# ---- what is chosen ------------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.987])
def test_global_sparsity_zeroes_the_exact_count_over_all_layers(sparsity):
    model = SimpleCNN()
    total = sum(weight.numel() for weight in weights_of(model).values())
    mask_model_(model, sparsity=sparsity)
    assert zeros_in(weights_of(model)) == round(sparsity * total)


def test_layer_sparsity_zeroes_the_exact_count_in_each_layer():
    model = SimpleCNN()
    mask_model_(model, sparsity=0.3, scope="layer")
    for weight in weights_of(model).values():
        assert int((weight == 0).sum()) == round(0.3 * weight.numel())


def test_a_dict_gives_each_layer_its_own_sparsity_and_leaves_the_rest():
    model = SimpleCNN()
    masks = mask_model_(model, sparsity={"fc1": 0.9, "conv1": 0.25})
    assert list(masks) == ["conv1", "fc1"]
    weights = weights_of(model)
    assert int((weights["fc1"] == 0).sum()) == round(0.9 * 32768)
    assert int((weights["conv1"] == 0).sum()) == 72
    assert zeros_in({"conv2": weights["conv2"], "fc2": weights["fc2"]}) == 0


def test_a_dict_holds_for_biases_too_when_they_are_asked_for():
    masks = choose_masks(SimpleCNN(), sparsity={"fc2": 0.5}, biases=True)
    assert {name: int((~mask).sum()) for name, mask in masks.items()} == {"fc2": 640, "fc2.bias": 5}


def test_the_rules_are_those_of_the_pure_functions():
    model = LeNet300((1, 8, 8))
    weights = weights_of(model)
    for name, mask in choose_masks(model, threshold=0.05).items():
        assert torch.equal(mask, threshold_mask(weights[name], 0.05))
    for name, mask in choose_masks(model, deviations=1.5).items():
        assert torch.equal(mask, deviation_mask(weights[name], 1.5))
    for name, mask in choose_masks(model, sparsity=0.4, scope="layer").items():
        assert torch.equal(mask, topk_mask(magnitude(weights[name]), 0.4))


def test_choosing_changes_nothing():
    model = SimpleCNN()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    choose_masks(model, sparsity=0.9)
    assert current_masks(model) == {}
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_biases_and_normalization_are_left_alone_unless_asked_for():
    model = ResNet8()
    mask_model_(model, threshold=100.0)
    state = plain_state(model)
    left = {name for name, tensor in state.items() if tensor.is_floating_point() and tensor.any()}
    assert {n for n in state if n.endswith("bias") and "bn" not in n} <= left
    assert all(
        bool((state[name] == 1).all()) for name in state if "bn" in name and "weight" in name
    )
    mask_model_(model, threshold=100.0, layers=["bn", "fc"], biases=True)
    assert not model.bn.weight.any()
    assert not model.fc.bias.any()
    assert model.conv.bias.any()


def test_random_importance_prunes_the_same_weights_at_each_call_and_not_the_small_ones():
    model = SimpleCNN()
    one = mask_model_(model, sparsity=0.5, importance=RandomImportance(seed=1))
    two = mask_model_(model, sparsity=0.5, importance=RandomImportance(seed=1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    small = choose_masks(model, sparsity=0.5)
    agreement = (one["fc1"] == small["fc1"]).float().mean()
    assert 0.45 < agreement < 0.55


def test_ready_importances_by_layer_name_are_used():
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2))
    scores = {"0": torch.tensor([[1.0, 4.0]]), "1": torch.tensor([[3.0], [2.0]])}
    masks = mask_model_(model, sparsity=0.5, importance=scores)
    assert masks["0"].tolist() == [[False, True]]
    assert masks["1"].tolist() == [[True], [False]]


# ---- on the model --------------------------------------------------------------------------------


def test_a_masked_model_computes_with_the_masked_weights():
    model, plain = SimpleCNN(), SimpleCNN()
    masks = mask_model_(model, sparsity=0.8)
    for layer in compressible_layers(plain):
        layer.weight.data *= masks[layer.name]
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(images), plain(images))


def test_current_masks_are_those_that_were_put_on_and_copies():
    model = SimpleCNN()
    masks = mask_model_(model, sparsity=0.5)
    read = current_masks(model)
    assert list(read) == list(masks)
    assert all(torch.equal(read[name], masks[name]) for name in masks)
    read["fc1"].zero_()
    masks["fc1"].zero_()
    assert current_masks(model)["fc1"].any()


def test_masking_again_replaces_the_masks_and_can_bring_weights_back():
    model = SimpleCNN()
    before = weights_of(model)
    mask_model_(model, sparsity=0.99)
    mask_model_(model, sparsity=0.2)
    direct = SimpleCNN()
    mask_model_(direct, sparsity=0.2)
    again, once = weights_of(model), weights_of(direct)
    assert all(torch.equal(again[name], once[name]) for name in once)
    mask_model_(model, sparsity=0.0)
    after = weights_of(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_masking_one_layer_leaves_the_masks_of_the_others():
    model = SimpleCNN()
    first = mask_model_(model, sparsity=0.5)
    mask_model_(model, sparsity=0.9, layers=["fc2"])
    now = current_masks(model)
    assert torch.equal(now["fc1"], first["fc1"])
    assert int((~now["fc2"]).sum()) == round(0.9 * 1280)


def test_scores_of_the_effective_weights_keep_pruned_weights_pruned():
    model = SimpleCNN()
    old = mask_model_(model, sparsity=0.5, importance=RandomImportance(0))
    scores = {layer.name: magnitude(layer.weight) for layer in compressible_layers(model)}
    new = mask_model_(model, sparsity=0.7, importance=scores)
    assert not any(bool((new[name] & ~old[name]).any()) for name in new)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    ],
    ids=["SGD", "AdamW"],
)
def test_masks_survive_training_with_momentum_and_weight_decay(make):
    model = SimpleCNN()
    optimizer = make(model.parameters())  # made before masking: momentum for all weights
    train_(model, optimizer)
    masks = mask_model_(model, sparsity=0.7)
    before = weights_of(model)
    train_(model, optimizer)
    for name, weight in weights_of(model).items():
        assert not weight[~masks[name]].any()
        assert not torch.equal(weight[masks[name]], before[name][masks[name]])
        assert torch.equal(current_masks(model)[name], masks[name])


def test_pruned_originals_keep_their_value_under_plain_sgd():
    model = SimpleCNN()
    before = weights_of(model)["fc1"]
    mask = mask_model_(model, sparsity=0.7)["fc1"]
    train_(model, torch.optim.SGD(model.parameters(), 0.1))
    mask_model_(model, sparsity=0.0)
    assert torch.equal(model.fc1.weight[~mask], before[~mask])


def test_a_deep_copy_is_masked_and_independent():
    model = SimpleCNN()
    mask_model_(model, sparsity=0.5)
    twin = copy.deepcopy(model)
    mask_model_(twin, sparsity=0.9, biases=True)
    bake_(twin)
    assert zeros_in(weights_of(model)) == round(0.5 * 52768)
    assert zeros_in(weights_of(twin)) > zeros_in(weights_of(model))
    images = torch.zeros(1, 1, 8, 8)
    assert model(images).shape == twin(images).shape == (1, 10)


def test_a_state_dict_carries_weights_and_masks_to_a_model_masked_in_the_same_places(tmp_path):
    model, other = SimpleCNN(seed=1), SimpleCNN(seed=2)
    mask_model_(model, sparsity=0.9)
    mask_model_(other, sparsity=0.1)
    held = current_masks(other)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    one, two = weights_of(model), weights_of(other)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert int((~held["fc1"]).sum()) < int((~current_masks(other)["fc1"]).sum())


def test_plain_state_sees_the_zeros_under_the_plain_names():
    model = SimpleCNN()
    mask_model_(model, sparsity=0.5)
    state = plain_state(model)
    assert list(state) == list(SimpleCNN().state_dict())
    assert torch.equal(state["fc1.weight"], model.fc1.weight)


def test_a_half_precision_and_a_one_layer_model_can_be_masked():
    model = nn.Linear(4, 2).half()
    assert list(mask_model_(model, sparsity=0.5)) == ["model"]
    assert model.weight.dtype == torch.float16
    assert int((model.weight == 0).sum()) == 4


# ---- apply_masks_ --------------------------------------------------------------------------------


def test_ready_masks_are_put_on():
    model = nn.Sequential(nn.Linear(2, 1))
    apply_masks_(model, {"0": torch.tensor([[True, False]]), "0.bias": torch.tensor([False])})
    assert model[0].weight[0, 1] == 0
    assert model[0].bias.item() == 0
    assert list(current_masks(model)) == ["0", "0.bias"]


@pytest.mark.parametrize(
    ("mask", "kind", "sentence"),
    [
        (
            {"0": torch.ones(1, 2)},
            TypeError,
            "mask of layer '0' must be a bool tensor, got torch.float32. Try mask.bool().",
        ),
        (
            {"0": [[True, False]]},
            TypeError,
            "mask of layer '0' must be a bool tensor, got list. Try mask.bool().",
        ),
        (
            {"0": torch.tensor([True, False])},
            ValueError,
            "mask of layer '0' must have the shape of its weight, (1, 2), got (2,).",
        ),
        (
            {"fc1": torch.tensor([True])},
            ValueError,
            "masks must go by the names of layers, got 'fc1'. Did you mean 'fc2'?",
        ),
    ],
    ids=["float", "list", "shape", "name"],
)
def test_a_wrong_mask_is_refused_before_any_is_put_on(mask, kind, sentence):
    model = nn.Sequential()
    model.add_module("0", nn.Linear(2, 1))
    model.add_module("fc2", nn.Linear(1, 1))
    with pytest.raises(kind, match="^" + re.escape(sentence) + "$"):
        apply_masks_(model, {"fc2": torch.tensor([[True]]), **mask})
    assert current_masks(model) == {}


# ---- bake_ ---------------------------------------------------------------------------------------


def test_baking_gives_a_plain_model_with_the_same_outputs():
    model = SimpleCNN()
    mask_model_(model, sparsity=0.9, biases=True)
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    before = model(images)
    bake_(model)
    assert torch.equal(model(images), before)
    assert list(model.state_dict()) == list(SimpleCNN().state_dict())
    assert type(model.fc1) is nn.Linear
    assert current_masks(model) == {}
    bake_(model)  # nothing left to bake: nothing happens


def test_baking_leaves_other_parametrized_tensors_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.utils.parametrizations.orthogonal(nn.Linear(2, 2)))
    mask_model_(model, sparsity=0.5, layers=["0"])
    bake_(model)
    assert parametrize.is_parametrized(model[1], "weight")
    assert not parametrize.is_parametrized(model[0])


class Double(nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_a_parametrization_on_top_keeps_the_mask_from_being_baked_but_not_from_being_replaced():
    model = SimpleCNN()
    mask_model_(model, sparsity=0.5)
    parametrize.register_parametrization(model.fc1, "weight", Double())
    sentence = (
        "weight of layer 'fc1' must have a Mask alone to be baked, got Double on top of it. "
        "Remove that first."
    )
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        bake_(model)
    assert len(current_masks(model)) == 4
    mask_model_(model, sparsity=0.9)
    assert zeros_in(weights_of(model)) == round(0.9 * 52768)
    assert len(model.fc1.parametrizations["weight"]) == 2


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {},
            (
                "exactly one of sparsity, threshold and deviations must be given, got none. "
                "Try sparsity=0.5 alone."
            ),
        ),
        (
            {"sparsity": 0.5, "threshold": 0.1},
            (
                "exactly one of sparsity, threshold and deviations must be given, got sparsity and "
                "threshold. Try sparsity=0.5 alone."
            ),
        ),
        (
            {"threshold": 0.1, "importance": RandomImportance(0)},
            (
                "importance must be left out with threshold, which looks at |weight| itself. "
                "Try sparsity instead."
            ),
        ),
        (
            {"sparsity": 30},
            "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (
            {"sparsity": 30, "scope": "layer"},
            "sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (
            {"sparsity": {"conv1": 0.5, "conv2": 30}},
            "sparsity of layer 'conv2' must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (
            {"sparsity": {"conv": 0.5}},
            (
                "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'conv'. "
                "Did you mean 'conv2'?"
            ),
        ),
        (
            {"sparsity": {"conv1": 0.5}, "layers": ["conv1"]},
            "layers must be left out with a dict as sparsity, which names them.",
        ),
        (
            {"sparsity": 0.5, "scope": "layers"},
            "scope must be one of 'global' or 'layer', got 'layers'. Did you mean 'layer'?",
        ),
        ({"threshold": -1}, "threshold must be a finite number of at least 0, got -1.0."),
        (
            {"sparsity": 0.5, "importance": lambda weight: weight * float("nan")},
            "importance of layer 'conv1' must not hold NaN, got 288 NaN of 288 values.",
        ),
        (
            {"sparsity": 0.5, "scope": "layer", "importance": lambda weight: weight / 0 * 0},
            "importance of layer 'conv1' must not hold NaN, got 288 NaN of 288 values.",
        ),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence_and_the_model_is_unchanged(
    arguments, sentence
):
    model = SimpleCNN()
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        mask_model_(model, **arguments)
    assert list(model.state_dict()) == list(SimpleCNN().state_dict())


@pytest.mark.parametrize(
    "call",
    [lambda m: mask_model_(m, sparsity=0.5), lambda m: apply_masks_(m, {}), current_masks, bake_],
    ids=["mask_model_", "apply_masks_", "current_masks", "bake_"],
)
def test_a_class_in_place_of_a_model_is_refused(call):
    sentence = "model must be a torch.nn.Module, got the class SimpleCNN. Did you mean SimpleCNN()?"
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        call(SimpleCNN)

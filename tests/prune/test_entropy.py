"""Entropy of responses and of weights: by hand, against scipy, and what it cannot tell."""

import math
import re

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lwlab.data import Split
from lwlab.models import LeNet300, ResNet8, SimpleCNN
from lwlab.prune import (
    activation_entropy,
    bake_,
    histogram_entropy,
    mask_model_,
    spread_channels,
    spread_over_weight,
    weight_entropy,
)


def split_of(inputs):
    return Split(inputs, torch.zeros(len(inputs), dtype=torch.int64))


def random_split(count=40, shape=(1, 8, 8)):
    return split_of(torch.randn(count, *shape, generator=torch.Generator().manual_seed(5)))


def scipy_entropy(row, bins):
    counts, _ = np.histogram(np.asarray(row, dtype=np.float64), bins=bins)
    return scipy.stats.entropy(counts, base=2)


# ---- histogram_entropy ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "bins", "bits"),
    [
        ([0.0, 1.0, 2.0, 3.0], 4, 2.0),
        ([3.0, 0.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0], 4, 2.0),
        ([0.0, 0.0, 0.0, 9.0], 2, 0.25 * 2 + 0.75 * math.log2(4 / 3)),
        ([-1.0, -1.0, 1.0, 1.0], 100, 1.0),
        ([5.0, 5.0, 5.0], 4, 0.0),
        ([0.0, 0.0], 4, 0.0),
        ([7.0], 4, 0.0),
    ],
)
def test_entropies_worked_by_hand(row, bins, bits):
    assert histogram_entropy(torch.tensor([row]), bins).item() == pytest.approx(bits)


@pytest.mark.parametrize("bins", [2, 7, 100])
def test_each_row_is_scipys_entropy_of_numpys_histogram(bins):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(20, 33, generator=generator, dtype=torch.float64) * 10 ** torch.arange(
        -10, 10
    ).unsqueeze(1)
    expected = [scipy_entropy(row, bins) for row in rows]
    assert histogram_entropy(rows, bins).tolist() == pytest.approx(expected)


def test_what_rounding_leaves_of_a_constant_is_a_constant():
    noise = 1e-7 * torch.arange(50, dtype=torch.float64)
    rows = torch.stack([100 + noise, 1e-7 + noise])
    assert histogram_entropy(rows, 10).tolist() == pytest.approx([0, math.log2(10)])


@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=60),
    st.integers(2, 40),
    st.sampled_from([0.25, 2.0, 1024.0]),
)
def test_entropy_is_bounded_and_blind_to_order_and_scale(values, bins, scale):
    row = torch.tensor([values], dtype=torch.float64)
    bits = histogram_entropy(row, bins)
    assert -1e-12 <= bits.item() <= math.log2(min(bins, len(values))) + 1e-12
    assert torch.equal(histogram_entropy(row.sort().values, bins), bits)
    assert torch.equal(histogram_entropy(scale * row, bins), bits)


@pytest.mark.parametrize(
    ("values", "bins", "kind", "sentence"),
    [
        ([1.0], 4, TypeError, "values must be a tensor of shape (rows, n), got list."),
        (torch.zeros(3), 4, ValueError, "values must have shape (rows, n), got (3,)."),
        (torch.zeros(3, 0), 4, ValueError, "values must have shape (rows, n), got (3, 0)."),
        (torch.zeros(1, 3), 1, ValueError, "bins must be a whole number of at least 2, got 1."),
        (
            torch.tensor([[0.0, math.nan]]),
            4,
            ValueError,
            (
                "values must be finite, got 1 NaN or infinite of 2 values "
                "(the first at index (0, 1))."
            ),
        ),
    ],
    ids=["list", "vector", "empty", "bins", "nan"],
)
def test_wrong_values_are_told_in_one_sentence(values, bins, kind, sentence):
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        histogram_entropy(values, bins)


# ---- activation_entropy --------------------------------------------------------------------------


def four_channels():
    """Return a 1x1 convolution: x, a constant, dead under ReLU, and -x."""
    model = nn.Conv2d(1, 4, 1)
    model.weight.data = torch.tensor([1.0, 0.0, 0.01, -1.0]).reshape(4, 1, 1, 1)
    model.bias.data = torch.tensor([0.0, 5.0, -9.0, 0.0])
    return model


def ramp():
    """Return four images whose means are 0, 1, 2, 3, with nothing equal inside of them."""
    wave = torch.tensor([[0.5, -0.5], [-0.25, 0.25]])
    images = torch.arange(4.0).reshape(4, 1, 1, 1) + wave
    images[0] = 0
    return split_of(images)


def test_uniform_responses_have_two_bits_and_constant_or_dead_channels_none():
    found = activation_entropy(four_channels(), ramp(), bins=4)
    assert found["model"].tolist() == pytest.approx([2, 0, 0, 0])


def test_without_the_activation_a_channel_below_zero_speaks():
    found = activation_entropy(four_channels(), ramp(), bins=4, activation=nn.Identity())
    assert found["model"].tolist() == pytest.approx([2, 0, 2, 2])


@pytest.mark.parametrize("batch_size", [7, 250])
def test_responses_of_convolutions_and_linear_layers_agree_with_a_slow_loop(batch_size):
    model, split = SimpleCNN(), random_split()
    with torch.no_grad():
        first = model.conv1(split.inputs)
        second = model.conv2(F.relu(F.max_pool2d(first, 2)))
        third = model.fc1(F.relu(F.max_pool2d(second, 2)).flatten(1))
    responses = {
        "conv1": F.relu(first).mean(dim=(2, 3)),
        "conv2": F.relu(second).mean(dim=(2, 3)),
        "fc1": F.relu(third),
    }
    found = activation_entropy(model, split, bins=10, batch_size=batch_size)
    assert list(found) == ["conv1", "conv2", "fc1", "fc2"]
    for name, values in responses.items():
        slow = [scipy_entropy(column, 10) for column in values.T]
        # A response on the edge of a bin may fall to either side, by how the sum was ordered.
        assert np.abs(found[name].numpy() - slow).mean() < 0.01


def test_a_convolution_answers_after_the_batch_norm_that_takes_it():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
    model[0].weight.data.fill_(1)
    model[1].bias.data = torch.tensor([0.0, -100.0])  # the second channel is dead after it
    assert activation_entropy(model, ramp(), bins=4)["0"].tolist() == pytest.approx([2, 0])
    bare = nn.Sequential(model[0], nn.ReLU(inplace=True))
    assert activation_entropy(bare, ramp(), bins=4)["0"].tolist() == pytest.approx([2, 2])


def test_a_linear_layer_has_its_features_last():
    inputs = torch.arange(8.0).reshape(4, 2, 1)  # 4 examples of 2 tokens
    model = nn.Linear(1, 3)
    found = activation_entropy(model, split_of(inputs), bins=4, activation=nn.Identity())
    assert found["model"].tolist() == pytest.approx([2, 2, 2])


def test_a_layer_that_is_called_twice_counts_all_its_responses():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(2)
    found = activation_entropy(nn.Sequential(layer, layer), split_of(torch.tensor([[1.0], [2.0]])))
    assert found["0"].tolist() == pytest.approx([1.5])  # 2, 4, 4, 8


def test_the_model_is_as_it_was_also_with_an_activation_in_place(unchanged):
    model, split = ResNet8((1, 8, 8)).train(), random_split()
    mask_model_(model, sparsity=0.5)
    with unchanged(model):
        found = activation_entropy(model, split, activation=torch.relu_)
    expected = activation_entropy(model, split)
    bake_(model)
    baked = activation_entropy(model, split)
    for name in found:
        assert torch.equal(found[name], expected[name])
        assert torch.equal(found[name], baked[name])
        assert not found[name].is_inference()


def test_hooks_are_gone_after_a_model_that_fails(unchanged):
    model = SimpleCNN()
    with unchanged(model), pytest.raises(ValueError, match=r"^model must accept inputs of shape"):
        activation_entropy(model, random_split(shape=(3, 8, 8)))


def with_a_spare_layer():
    model = LeNet300((1, 8, 8))
    model.spare = nn.Linear(2, 2)
    return model


@pytest.mark.parametrize(
    ("model", "split", "settings", "kind", "sentence"),
    [
        (
            SimpleCNN(),
            random_split(1),
            {},
            ValueError,
            "split must hold at least 2 examples, got 1: one response has no spread.",
        ),
        (
            SimpleCNN(),
            torch.zeros(3, 1, 8, 8),
            {},
            TypeError,
            "split must be a Split, got Tensor. Try dataset.validation.",
        ),
        (
            SimpleCNN(),
            random_split(),
            {"bins": 1},
            ValueError,
            "bins must be a whole number of at least 2, got 1.",
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
            {"layers": "fc1"},
            TypeError,
            "layers must be a list of names, got 'fc1'. Try ['fc1'].",
        ),
        (
            SimpleCNN(),
            random_split(),
            {"layers": []},
            ValueError,
            "layers must name at least one layer, got none.",
        ),
        (
            SimpleCNN(),
            random_split(),
            {"layers": ["conv3"]},
            ValueError,
            (
                "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'conv3'. "
                "Did you mean 'conv2'?"
            ),
        ),
        (
            nn.ReLU(),
            random_split(),
            {},
            ValueError,
            "model must have a convolution or linear layer, got ReLU without one.",
        ),
        (
            with_a_spare_layer(),
            random_split(),
            {},
            ValueError,
            (
                "layer 'spare' must be called when the model runs, got no call of it. Leave it "
                "out: name the others in layers=[...]."
            ),
        ),
        (
            nn.Linear(1, 1),
            split_of(torch.tensor([[1.0], [math.inf]])),
            {"activation": torch.square},
            ValueError,
            (
                "response of layer 'model' must be finite, got 1 NaN or infinite of 2 values "
                "(the first at index (1, 0))."
            ),
        ),
    ],
    ids=["one", "tensor", "bins", "batch", "text", "none", "name", "relu", "spare", "infinite"],
)
def test_what_is_wrong_is_told_in_one_sentence(model, split, settings, kind, sentence):
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        activation_entropy(model, split, **settings)


# ---- weight_entropy ------------------------------------------------------------------------------


def test_the_entropy_of_filters_worked_by_hand():
    weight = torch.tensor(
        [[[-1.0, 0.0], [1.0, 2.0]], [[0.5, 0.5], [0.5, 0.5]], [[0.0, 0.0], [0.0, 3.0]]]
    )
    expected = [2, 0, 0.25 * 2 + 0.75 * math.log2(4 / 3)]
    assert weight_entropy(weight, bins=4).tolist() == pytest.approx(expected)


def test_the_entropy_of_filters_is_scipys():
    weight = SimpleCNN().conv2.weight
    expected = [scipy_entropy(row, 16) for row in weight.detach().flatten(1)]
    found = weight_entropy(weight)
    assert found.tolist() == pytest.approx(expected)
    assert not found.requires_grad


def test_the_entropy_of_weights_cannot_see_what_the_docstring_says_it_cannot():
    weight = SimpleCNN().conv2.weight.detach()
    bits = weight_entropy(weight)
    order = torch.randperm(288, generator=torch.Generator().manual_seed(0))
    shuffled = weight.flatten(1)[:, order].reshape(weight.shape)
    assert torch.equal(weight_entropy(shuffled), bits)
    assert torch.equal(weight_entropy(weight * 2**-20), bits)
    assert bool((weight_entropy(weight, bins=4) < bits).all())
    assert weight_entropy(SimpleCNN().conv1.weight).max() <= math.log2(9) + 1e-9


@pytest.mark.parametrize(
    ("weight", "kind", "sentence"),
    [
        ([[1.0]], TypeError, "weight must be a tensor, got list."),
        (torch.zeros(3), ValueError, "weight must have shape (filters, ...), got (3,)."),
        (
            torch.tensor([[[0.0, math.inf]]]),
            ValueError,
            (
                "weight must be finite, got 1 NaN or infinite of 2 values "
                "(the first at index (0, 0, 1))."
            ),
        ),
    ],
    ids=["list", "vector", "infinite"],
)
def test_a_wrong_weight_is_told_in_one_sentence(weight, kind, sentence):
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        weight_entropy(weight)


# ---- onto the weights ----------------------------------------------------------------------------


def test_each_weight_gets_the_score_of_its_channel():
    spread = spread_over_weight(torch.tensor([1.0, 2.0]), torch.zeros(2, 1, 2))
    assert spread.tolist() == [[[1.0, 1.0]], [[2.0, 2.0]]]
    spread[0, 0, 0] = 7  # its own memory
    assert spread[0, 0, 1] == 1


def test_masks_from_channel_scores_go_channel_by_channel():
    model = SimpleCNN()
    scores = activation_entropy(model, random_split(), layers=["conv1", "conv2"])
    importance = spread_channels(scores, model)
    assert list(importance) == ["conv1", "conv2"]
    masks = mask_model_(model, sparsity={"conv1": 0.25, "conv2": 0.5}, importance=importance)
    for name, pruned in {"conv1": 8, "conv2": 32}.items():
        kept = masks[name].flatten(1)
        assert torch.equal(kept.any(dim=1), kept.all(dim=1))
        lowest = set(scores[name].argsort(stable=True)[:pruned].tolist())
        assert set((~kept.any(dim=1)).nonzero().flatten().tolist()) == lowest


def test_weight_entropy_serves_as_an_importance_of_one_weight():
    model = SimpleCNN()

    def importance(weight):
        return spread_over_weight(weight_entropy(weight), weight)

    masks = mask_model_(model, sparsity=0.5, scope="layer", importance=importance)
    assert int((~masks["conv2"].flatten(1).any(dim=1)).sum()) == 32


@pytest.mark.parametrize(
    ("scores", "kind", "sentence"),
    [
        (
            {"fc3": torch.zeros(10)},
            ValueError,
            (
                "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc3'. "
                "Did you mean 'fc2'?"
            ),
        ),
        (
            {"fc2": torch.zeros(128)},
            ValueError,
            "scores of layer 'fc2' must have shape (10,), one per output channel, got (128,).",
        ),
        ({"fc2": [1.0]}, TypeError, "scores of layer 'fc2' must be a tensor, got list."),
    ],
    ids=["name", "inputs", "list"],
)
def test_scores_that_do_not_fit_are_told_in_one_sentence(scores, kind, sentence):
    with pytest.raises(kind, match=f"^{re.escape(sentence)}$"):
        spread_channels(scores, SimpleCNN())


def test_scores_that_do_not_fit_a_weight_are_told_in_one_sentence():
    sentence = "scores must have shape (2,), one per output channel, got (3,)."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        spread_over_weight(torch.zeros(3), torch.zeros(2, 3))

import re

import pytest
import torch

from lwlab.measure import macs, sparsity
from lwlab.models.layers import compressible_layers
from lwlab.pipeline import FineTune, Prune, RemoveChannels
from lwlab.pipeline.benches import carry_out
from lwlab.prune import activation_entropy, current_masks, mask_model_, remove_channels


def masks_after(bench, *steps):
    carry_out(bench, steps)
    return current_masks(bench.model)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_first_cut_is_that_of_mask_model(scope, bench_of, network):
    masks = masks_after(bench_of(network), Prune(0.7, scope=scope))
    expected = mask_model_(network, sparsity=0.7, scope=scope)
    assert all(torch.equal(masks[name], expected[name]) for name in expected)


@pytest.mark.parametrize("criterion", ["magnitude", "taylor", "random"])
def test_a_further_cut_brings_nothing_back(criterion, bench_of, network):
    bench = bench_of(network)
    first = masks_after(bench, Prune(0.4, criterion=criterion), FineTune(epochs=1))
    carry_out(bench, [Prune(0.8, criterion=criterion)], seed=7)  # other random scores
    second = current_masks(bench.model)
    assert all(bool((first[name] | ~second[name]).all()) for name in second)
    assert sparsity(bench.model) == pytest.approx(0.8, abs=0.005)


def test_each_criterion_cuts_other_weights(bench_of, network):
    found = [
        torch.cat([m.flatten() for m in masks_after(bench_of(network), step).values()])
        for step in (Prune(0.5), Prune(0.5, criterion="taylor"), Prune(0.5, criterion="random"))
    ]
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_pattern_keeps_n_of_m_neighbours(bench_of, network):
    bench = bench_of(network)
    masks = masks_after(bench, Prune(0.3), Prune(pattern="1:4"))
    kept = masks["fc1"].reshape(12, -1, 4).sum(dim=2)
    assert int(kept.max()) == 1
    assert sparsity(bench.model) >= 0.5


def test_a_gradual_cut_ends_at_the_sparsity_and_trains_between(bench_of, network):
    bench = bench_of(network)
    records = list(Prune(0.8, epochs=3).apply_(bench))
    assert len(records) == 3
    assert sparsity(bench.model) == pytest.approx(0.8, abs=0.005)
    assert not torch.equal(bench.model.fc2.bias, network.fc2.bias)


def test_channels_go_and_zeros_stay_pruned(bench_of, network, small):
    bench = bench_of(network)
    carry_out(bench, [Prune(0.5), RemoveChannels(0.5)])
    assert bench.model.conv1.out_channels == 2
    assert macs(bench.model, small.input_shape) < macs(network, small.input_shape)
    before = sparsity(bench.model)
    assert before > 0.2
    carry_out(bench, [FineTune(epochs=1)])
    assert sparsity(bench.model) == before


def test_a_cut_after_channels_went_may_find_enough_zeros(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Prune(0.6), RemoveChannels(0.25)])
    before = sparsity(bench.model)
    carry_out(bench, [Prune(0.1)])
    assert sparsity(bench.model) == before


def test_channels_of_the_least_entropy_go_where_a_recipe_says_so(bench_of, network, small):
    by_norm, by_entropy = bench_of(network), bench_of(network)
    carry_out(by_norm, [RemoveChannels(0.5)])
    carry_out(by_entropy, [RemoveChannels(0.5, channel_criterion="entropy")])
    expected = remove_channels(
        network,
        pruning_ratio=0.5,
        example_inputs=small.train.inputs[:8],
        importance=activation_entropy(network, small.train.take(512)),
    )
    found = by_entropy.model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.state_dict().items())
    assert not all(torch.equal(found[n], t) for n, t in by_norm.model.state_dict().items())


def test_channels_removed_without_masks_leave_a_plain_model(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [RemoveChannels(0.25)])
    assert current_masks(bench.model) == {}
    assert all(bool((layer.weight != 0).any()) for layer in compressible_layers(bench.model))


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Prune(0.9), "Prune 90.0 % of the weights over all layers, by magnitude"),
        (
            Prune(0.9, scope="layer", criterion="random", epochs=5),
            (
                "Prune 90.0 % of the weights in each layer, at random, in 5 cuts with an epoch "
                "after each"
            ),
        ),
        (Prune(pattern="2:4"), "Keep 2 of every 4 neighbouring weights, by magnitude"),
        (RemoveChannels(0.25), "Remove 25.0 % of the channels in each layer"),
        (RemoveChannels(0.5, "global"), "Remove 50.0 % of the channels over all layers"),
        (
            RemoveChannels(0.5, channel_criterion="entropy"),
            "Remove 50.0 % of the channels in each layer, by entropy",
        ),
    ],
)
def test_a_step_says_what_it_does(step, line):
    assert step.describe() == line


PATTERN = (
    "pattern must be two whole numbers n:m with n below m and m at most 64, got {!r}. Try '2:4'."
)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            Prune,
            "exactly one of sparsity and pattern must be given, got none. Try sparsity=0.9.",
        ),
        (
            lambda: Prune(0.5, pattern="2:4"),
            "exactly one of sparsity and pattern must be given, got both. Try sparsity=0.9.",
        ),
        (lambda: Prune(90), "sparsity must be a fraction in [0, 1), got 90.0. Did you mean 0.9?"),
        (
            lambda: Prune(0.5, scope="globl"),
            "scope must be one of 'global' or 'layer', got 'globl'. Did you mean 'global'?",
        ),
        (
            lambda: Prune(0.5, criterion="size"),
            "criterion must be one of 'magnitude', 'taylor' or 'random', got 'size'.",
        ),
        (lambda: Prune(pattern="4:2"), PATTERN.format("4:2")),
        (lambda: Prune(pattern="0:2"), PATTERN.format("0:2")),
        (lambda: Prune(pattern="2 of 4"), PATTERN.format("2 of 4")),
        (lambda: Prune(pattern=24), PATTERN.format(24)),
        (
            lambda: Prune(pattern="2:4", epochs=2),
            "epochs must be 0 with a pattern, which has no small cuts, got 2.",
        ),
        (
            lambda: RemoveChannels(1),
            "pruning_ratio must be a fraction in [0, 1), got 1.0.",
        ),
    ],
)
def test_a_wrong_field_is_refused(make, sentence):
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(sentence)}$"):
        make()

"""Every kind of pruning with every kind of quantization: the loaded model answers to the bit."""

from __future__ import annotations

import copy
import random

import pytest
import torch

from lwlab import packing
from lwlab.models import LeNet300, ResNet8, SimpleCNN, compressible_layers, plain_state
from lwlab.packing.halving import halve_
from lwlab.prune import apply_masks_, magnitude, mask_model_, n_of_m_mask, remove_channels
from lwlab.quantize import PerChannel, PerGroup, PerTensor, prepare_, share_weights_

NETWORKS = {
    "SimpleCNN": lambda seed=0: SimpleCNN(width=4, hidden=16, seed=seed),
    "ResNet8": lambda seed=0: ResNet8(width=4, input_shape=(1, 8, 8), seed=seed),
    "LeNet300": lambda seed=0: LeNet300(input_shape=(1, 8, 8), seed=seed),
}
PRUNINGS = ("dense", "masked", "2 of 4", "channels removed")
GRANULARITIES = {"tensor": PerTensor(), "channel": PerChannel(), "group": PerGroup(4)}
WIDTHS = [f"{bits} per {name}" for bits in range(1, 9) for name in GRANULARITIES]
QUANTIZATIONS = ("float", "half", "codebook", "mixed", *WIDTHS)


def covering():
    """Each pruning with each quantization and each network; which three meet is drawn once.

    All 336 would take long: each pair of kinds is there.
    """
    draw, names = random.Random(0), list(NETWORKS)
    return [(draw.choice(names), p, q) for p in PRUNINGS for q in QUANTIZATIONS]


def pruned(model, pruning):
    layers = compressible_layers(model)
    if pruning == "masked":
        mask_model_(model, sparsity=0.8)
    if pruning == "2 of 4":
        apply_masks_(model, {x.name: n_of_m_mask(magnitude(x.weight), 2, 4) for x in layers})
    if pruning == "channels removed":
        return remove_channels(
            model, pruning_ratio=0.25, example_inputs=torch.zeros(1, 1, 8, 8)
        ).eval()
    return model


def quantize_(model, quantization):
    layers = compressible_layers(model)
    if quantization == "codebook":
        share_weights_(model, num_clusters=5)
    elif quantization == "mixed":
        prepare_(model, num_bits={x.name: 2 + i % 5 for i, x in enumerate(layers)})
    elif "per" in quantization:
        bits, _, name = quantization.split()
        fits = [x.name for x in layers if name != "group" or x.weight[0].numel() % 4 == 0]
        asymmetric = int(bits) % 3 == 0
        prepare_(
            model, num_bits=int(bits), granularity=GRANULARITIES[name], layers=fits,
            symmetric=not asymmetric,
        )  # fmt: skip


@pytest.mark.parametrize(("name", "pruning", "quantization"), covering())
def test_a_packed_model_answers_to_the_bit(name, pruning, quantization):
    model = NETWORKS[name]().eval()
    if quantization == "half":
        halve_(model, tensors="all")
    model = pruned(model, pruning)
    quantize_(model, quantization)
    before = copy.deepcopy(model.state_dict())
    data = packing.to_bytes(model)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    fresh = NETWORKS[name](seed=7).eval()
    packing.from_bytes_(fresh, data, resize=pruning == "channels removed")
    given, found = plain_state(model), plain_state(fresh)
    for key, tensor in given.items():
        assert torch.equal(found[key], tensor)
        assert torch.equal(found[key].signbit(), tensor.signbit())
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(fresh(images), model(images))
    assert len(data) <= len(packing.to_bytes(model, codings={"bitmask", "palette", "scaled"}))


def test_the_cases_cover_each_pair_of_kinds():
    cases = covering()
    assert {(p, q) for _, p, q in cases} == {(p, q) for p in PRUNINGS for q in QUANTIZATIONS}
    assert {(n, p) for n, p, _ in cases} == {(n, p) for n in NETWORKS for p in PRUNINGS}

"""Files of pruned and quantized networks come close to Shannon's bound."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch

from lwlab import packing
from lwlab.models import LeNet5, ResNet8, SimpleCNN, compressible_layers
from lwlab.prune import mask_model_
from lwlab.quantize import PerChannel, PerTensor, prepare_, quantized_weights, share_weights_

NETWORKS = {"LeNet5": LeNet5, "SimpleCNN": SimpleCNN, "ResNet8": ResNet8}
SHAPES = {"LeNet5": (1, 28, 28), "SimpleCNN": (1, 8, 8), "ResNet8": (1, 8, 8)}
KINDS = {
    f"{bits} bits per {name}": functools.partial(prepare_, num_bits=bits, granularity=granularity)
    for bits in (2, 3, 4, 8)
    for name, granularity in (("tensor", PerTensor()), ("channel", PerChannel()))
} | {"shared": functools.partial(share_weights_, num_clusters=16)}
# Within a hundredth; the rest are small files, of which what is to be learned is a larger part.
CLOSE = {
    ("2 bits per channel", 0): {"LeNet5", "SimpleCNN", "ResNet8"},
    ("2 bits per tensor", 0.99): {"LeNet5"},
    ("3 bits per tensor", 0.5): {"LeNet5", "SimpleCNN", "ResNet8"},
    ("3 bits per channel", 0.9): {"LeNet5", "SimpleCNN"},
    ("4 bits per tensor", 0.9): {"LeNet5", "SimpleCNN"},
    ("4 bits per channel", 0.5): {"LeNet5", "SimpleCNN", "ResNet8"},
    ("4 bits per channel", 0.99): {"LeNet5"},
    ("8 bits per tensor", 0): {"LeNet5", "SimpleCNN", "ResNet8"},
    ("8 bits per channel", 0.5): {"LeNet5", "SimpleCNN"},
    ("8 bits per tensor", 0.9): {"LeNet5"},
    ("shared", 0): {"LeNet5", "SimpleCNN", "ResNet8"},
    ("shared", 0.9): {"LeNet5", "SimpleCNN"},
}


def network_with_bells(name):
    """A network whose weights are distributed like those of trained ones: like a bell."""
    model = NETWORKS[name](input_shape=SHAPES[name]).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in compressible_layers(model):
            layer.weight.copy_(0.05 * torch.randn(layer.weight.shape, generator=generator))
    return model


def counts_of_codes(model, kind):
    """{layer: how often each distinct code occurs, zeros included}."""
    if kind == "shared":
        codes = {layer.name: layer.weight.detach() for layer in compressible_layers(model)}
    else:
        codes = {name: q.codes for name, q in quantized_weights(model).items()}
    return {name: np.unique(c.numpy(), return_counts=True)[1] for name, c in codes.items()}


def entropy_bytes(counts):
    """n * H / 8."""
    return float((counts * np.log2(counts.sum() / counts)).sum()) / 8


def learning_bytes(counts):
    """What it costs not to know the counts, (k - 1) / 2 * log2(n) bits, and 8 bytes.

    No code that has to learn k frequencies from n symbols does much better: J. Rissanen, "Universal
    coding, information, prediction, and estimation", 1984.
    """
    k, n = len(counts), int(counts.sum())
    return 8 + (k - 1) / 2 * math.log2(n) / 8


@pytest.mark.parametrize(("kind", "sparsity"), CLOSE)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_within_a_hundredth_of_the_bound_or_within_what_is_to_be_learned(
    name, kind, sparsity
):
    model = network_with_bells(name)
    if sparsity:
        mask_model_(model, sparsity=sparsity)
    KINDS[kind](model)
    data = packing.to_bytes(model)
    counts = counts_of_codes(model, kind)
    table = packing.breakdown(data)
    rows = {row.name: row for row in table.tensors}
    weights = [rows.pop(f"{layer}.weight") for layer in counts]
    stated = table.frame_bytes + sum(row.total for row in rows.values())
    stated += sum(row.header_bytes + row.other_bytes + row.codebook_bytes for row in weights)
    for row, layer in zip(weights, counts, strict=True):
        if row.codebook_bytes:  # a handful of weights may be shorter without codes
            assert row.bound_bytes == pytest.approx(entropy_bytes(counts[layer]), abs=0.01)
    bound = sum(row.bound_bytes for row in weights)
    assert len(data) <= 1.001 * bound + stated + sum(map(learning_bytes, counts.values()))
    if name in CLOSE[kind, sparsity]:
        assert len(data) <= 1.01 * bound + stated
    model_again = NETWORKS[name](input_shape=SHAPES[name], seed=9)
    packing.from_bytes_(model_again, data)
    for layer, twin in zip(compressible_layers(model), compressible_layers(model_again),
                           strict=True):  # fmt: skip
        assert torch.equal(layer.weight, twin.weight)


def test_a_mask_in_stripes_takes_less_than_its_bound():
    """Half of the inputs and a few outputs keep nearly all of the weights."""
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(200, 200)
    density = torch.tensor([0.02, 0.4]).repeat(100)[:, None] * torch.linspace(0.1, 1, 200)
    kept = torch.rand(200, 200, generator=generator) < density
    with torch.no_grad():
        layer.weight.copy_(torch.where(kept, layer.weight, 0))
    row = packing.breakdown(packing.to_bytes(layer)).tensors[0]
    assert row.coding == "plain + mask"
    assert row.values_bytes + row.positions_bytes < row.bound_bytes - 200

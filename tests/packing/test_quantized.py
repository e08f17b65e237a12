"""Quantized models in files: the same answers to the bit, in the bytes that were promised."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from lwlab import packing
from lwlab.models import LeNet300, ResNet8, SimpleCNN, compressible_layers, plain_state
from lwlab.prune import mask_model_
from lwlab.quantize import (
    PerChannel,
    PerGroup,
    PerTensor,
    prepare_,
    quantized_weights,
    share_weights_,
)

NETWORKS = {
    "SimpleCNN": lambda seed=0: SimpleCNN(width=4, hidden=16, seed=seed),
    "ResNet8": lambda seed=0: ResNet8(width=4, input_shape=(1, 8, 8), seed=seed),
    "LeNet300": lambda seed=0: LeNet300(input_shape=(1, 8, 8), seed=seed),
}
GRANULARITIES = {
    "tensor": PerTensor(),
    "channel": PerChannel(),
    "inputs": PerChannel(1),
    "groups": PerGroup(4),
}


def network_for(name, granularity):
    model = NETWORKS[name]().eval()
    fits = [
        layer.name
        for layer in compressible_layers(model)
        if not isinstance(granularity, PerGroup) or layer.weight[0].numel() % granularity.size == 0
    ]
    return model, fits


def loaded(name, data):
    model = NETWORKS[name](seed=7).eval()
    packing.from_bytes_(model, data)
    return model


def answers_alike(name, model, data):
    """The loaded model has the same tensors and logits to the bit, and the model is as before."""
    plain = loaded(name, data)
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    given, found = plain_state(model), plain_state(plain)
    for tensor_name, tensor in given.items():
        assert torch.equal(found[tensor_name], tensor)
        assert torch.equal(found[tensor_name].signbit(), tensor.signbit())
    with torch.no_grad():
        logits, expected = plain(images), model(images)
    if all(layer.weight.is_contiguous() for layer in compressible_layers(model)):
        assert torch.equal(logits, expected)
    else:  # convolutions sum in another order where the weight lies in another order
        torch.testing.assert_close(logits, expected)


def promised_bytes(model, bits, groups_of):
    """Codes, scales and zero points of each weight, and 12 bytes for how its rows lie."""
    total = 0
    for name, quantized in quantized_weights(model).items():
        groups = groups_of[name]
        total += math.ceil(quantized.codes.numel() * bits / 8) + 4 * groups
        total += 0 if quantized.symmetric else math.ceil(groups * bits / 8)
        total += 1 + 1 + 2  # kind, axis, elements of a row
    return total


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_width_comes_back_to_the_bit_in_no_more_than_the_promised_bytes(
    name, granularity, symmetric
):
    model, layers = network_for(name, GRANULARITIES[granularity])
    for bits in range(1, 9):
        kwargs = {"granularity": GRANULARITIES[granularity], "symmetric": symmetric}
        prepare_(model, num_bits=bits, layers=layers, **kwargs)
        before = copy.deepcopy(model.state_dict())
        data = packing.to_bytes(model)
        answers_alike(name, model, data)
        assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
        rows = {row.name: row for row in packing.breakdown(data).tensors}
        weights = [rows[f"{layer}.weight"] for layer in layers]
        groups = {layer: q.scale.numel() for layer, q in quantized_weights(model).items()}
        spent = sum(row.total - row.header_bytes for row in weights)
        assert spent <= promised_bytes(model, bits, groups)


def test_the_length_of_a_file_is_codes_scales_and_headers_exactly():
    model = NETWORKS["LeNet300"]().eval()
    prepare_(model, num_bits=4)
    data = packing.to_bytes(model, codings={"scaled"})
    table = packing.breakdown(data)
    sizes = [(300, 64), (100, 300), (10, 100)]
    codes = sum(out * inputs * 4 // 8 + 2 + 4 * out for out, inputs in sizes)
    biases = sum(4 * out for out, _ in sizes)
    headers = 10 + sum(row.header_bytes for row in table.tensors)
    assert len(data) == codes + biases + headers
    assert [row.header_bytes for row in table.tensors] == [19, 12, 17, 11, 16, 10]


@pytest.mark.parametrize("name", NETWORKS)
def test_ternary_weights_take_a_bit_and_one_for_each_sign(name):
    model, _ = network_for(name, PerChannel())
    prepare_(model, num_bits="ternary")
    data = packing.to_bytes(model)
    answers_alike(name, model, data)
    rows = {row.name: row for row in packing.breakdown(data).tensors}
    for layer, quantized in quantized_weights(model).items():
        count, nonzero = quantized.codes.numel(), int(quantized.codes.count_nonzero())
        row = rows[f"{layer}.weight"]
        promised = math.ceil(count / 8) + math.ceil(nonzero / 8) + 4 * len(quantized.scale) + 2
        assert row.total - row.header_bytes <= promised


@pytest.mark.parametrize("name", NETWORKS)
def test_a_codebook_takes_a_table_and_few_bits_a_weight(name):
    model, layers = network_for(name, PerChannel())
    share_weights_(model, num_clusters=16)
    data = packing.to_bytes(model)
    answers_alike(name, model, data)
    rows = {row.name: row for row in packing.breakdown(data).tensors}
    for layer in layers:
        row = rows[f"{layer}.weight"]
        assert row.total - row.header_bytes <= 1 + 4 * 16 + math.ceil(math.prod(row.shape) / 2)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", [1, 2, 4, 8, "ternary", "codebook"])
def test_pruned_and_quantized_weights_take_a_bit_and_the_codes_of_those_that_are_left(name, kind):
    model = NETWORKS[name]().eval()
    mask_model_(model, sparsity=0.9)
    if kind == "codebook":
        share_weights_(model, num_clusters=16)
    else:
        prepare_(model, num_bits=kind)
    data = packing.to_bytes(model)
    answers_alike(name, model, data)
    bits = {"ternary": 1, "codebook": 4}.get(kind, kind)
    rows = {row.name: row for row in packing.breakdown(data).tensors}
    for layer in compressible_layers(model):
        row, weight = rows[f"{layer.name}.weight"], layer.weight
        codebook = 1 + 4 * 16 if kind == "codebook" else 2 + 4 * len(weight)
        kept = math.ceil(int(weight.count_nonzero()) * bits / 8)
        assert row.total - row.header_bytes <= codebook + math.ceil(weight.numel() / 8) + kept


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_width_for_each_channel_comes_back_to_the_bit(symmetric):
    model = NETWORKS["LeNet300"]().eval()
    widths = {layer.name: [1 + i % 8 for i in range(len(layer.weight))] for layer in
              compressible_layers(model)}  # fmt: skip
    prepare_(model, num_bits=widths, symmetric=symmetric, granularity=PerGroup(4))
    data = packing.to_bytes(model)
    answers_alike("LeNet300", model, data)
    table = packing.breakdown(data)
    weights = [row for row in table.tensors if row.name.endswith("weight")]
    assert {row.coding for row in weights} == {"scaled"}
    promised = sum(math.ceil(q.storage_bits() / 8) for q in quantized_weights(model).values())
    assert sum(row.total - row.header_bytes for row in weights) < promised


def test_a_model_in_training_is_packed_with_the_scales_that_it_has():
    model = NETWORKS["SimpleCNN"]().train()
    prepare_(model, num_bits=4)
    scales = {name: q.scale for name, q in quantized_weights(model).items()}
    with torch.no_grad():
        for layer in compressible_layers(model):
            layer.module.parametrizations.weight.original.mul_(3)
    data = packing.to_bytes(model)
    assert all(torch.equal(scales[name], q.scale) for name, q in quantized_weights(model).items())
    answers_alike("SimpleCNN", model.eval(), data)


def test_weights_that_became_nan_are_packed_as_floats():
    model = NETWORKS["SimpleCNN"]().eval()
    prepare_(model, num_bits=4)
    with torch.no_grad():
        model.fc1.parametrizations.weight.original[0, 0] = math.nan
    plain = loaded("SimpleCNN", packing.to_bytes(model))
    assert torch.equal(plain.fc1.weight.isnan(), model.fc1.weight.isnan())
    assert bool(plain.fc1.weight.isnan().any())


class ByHalves:
    """A granularity of one's own: the first and the second half of a tensor."""

    def rows(self, tensor):
        return tensor.reshape(2, -1)

    def from_rows(self, rows, shape):
        return rows.reshape(shape)

    def spread(self, per_group, shape):
        return per_group.repeat_interleave(math.prod(shape) // 2).reshape(shape)


def test_a_granularity_of_ones_own_is_packed_by_its_few_values():
    model = NETWORKS["SimpleCNN"]().eval()
    prepare_(model, num_bits=2, granularity=ByHalves())
    data = packing.to_bytes(model)
    answers_alike("SimpleCNN", model, data)
    [row] = [row for row in packing.breakdown(data).tensors if row.name == "fc1.weight"]
    assert row.coding.endswith("palette")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_come_back_to_the_bit(dtype):
    model = NETWORKS["SimpleCNN"]().eval().to(dtype)
    prepare_(model, num_bits=4)
    plain = NETWORKS["SimpleCNN"](seed=7).to(dtype)
    data = packing.to_bytes(model)
    packing.from_bytes_(plain, data)
    for layer, twin in zip(compressible_layers(plain), compressible_layers(model), strict=True):
        assert torch.equal(layer.weight, twin.weight)
    [row] = [row for row in packing.breakdown(data).tensors if row.name == "fc1.weight"]
    assert (row.coding == "scaled") == (dtype != torch.float64)

import gzip
import io
import re
import zipfile

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.parametrizations import weight_norm

from lwlab import packing
from lwlab.measure import (
    gzip_bytes,
    layer_sparsities,
    num_nonzero,
    num_parameters,
    packed_bytes,
    plain_bytes,
    sparsity,
)
from lwlab.models import LeNet5, LeNet300, ResNet8, SimpleCNN, plain_state


class Scaled(nn.Module):
    """A parametrization with a parameter of its own, as learned quantizers have."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, weight):
        return weight * self.scale.sum()


class Wider(nn.Module):
    """A parametrization that changes the shape: an effective weight of twice as many rows."""

    def forward(self, weight):
        return torch.cat([weight, torch.zeros_like(weight)])


def zeroed(layer, count):
    with torch.no_grad():
        layer.weight.fill_(1).flatten()[:count] = 0
    return layer


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SimpleCNN, 53_002),
        (lambda: SimpleCNN((1, 28, 28)), 421_642),
        (LeNet300, 266_610),
        (LeNet5, 431_080),
        # MLPerf Tiny's 78,666 without 240 running means and 240 variances, which are buffers.
        (ResNet8, 78_186),
        (lambda: nn.BatchNorm1d(4), 8),
        (nn.ReLU, 0),
    ],
)
def test_parameters_of_known_networks(model, expected):
    assert num_parameters(model()) == expected


def test_a_shared_parameter_counts_once():
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.weight = one.weight
    assert num_parameters(nn.Sequential(one, two)) == 9 + 3 + 3
    assert num_parameters(nn.Sequential(one, nn.ReLU(), one)) == 12


def test_a_shared_weight_counts_once_in_sparsity_also_beside_an_embedding():
    embedding, out, other = nn.Embedding(4, 2), nn.Linear(2, 4), nn.Linear(4, 2)
    out.weight = zeroed(embedding, 4).weight
    zeroed(other, 0)
    assert sparsity(nn.Sequential(embedding, out, other)) == 4 / 16
    assert sparsity(nn.Sequential(out, out)) == 0.5


def test_a_parametrized_weight_counts_with_its_effective_shape_and_nothing_else():
    layer = nn.Linear(3, 4)
    parametrize.register_parametrization(layer, "weight", Scaled())
    assert num_parameters(layer) == 16
    parametrize.register_parametrization(layer, "weight", Wider(), unsafe=True)
    assert num_parameters(layer) == 24 + 4
    assert num_parameters(nn.Sequential(layer, layer)) == 28


def test_a_weight_made_of_two_originals_counts_once():
    assert num_parameters(weight_norm(nn.Linear(3, 4))) == 16


def test_a_parametrized_buffer_is_still_no_parameter():
    layer = nn.BatchNorm1d(4)
    parametrize.register_parametrization(layer, "running_mean", nn.Identity())
    assert num_parameters(layer) == 8


def test_weights_under_a_mask_count_as_they_are_seen(make_model):
    model = make_model("new masked")
    plain = SimpleCNN()
    assert num_parameters(model) == num_parameters(plain) == 53_002
    # The median itself is cut as well as what is below: half, rounded up.
    weights = [p.numel() for n, p in plain.named_parameters() if n.endswith("weight")]
    zeros = sum((count + 1) // 2 for count in weights)
    assert num_nonzero(model) == 53_002 - zeros
    assert sparsity(model) == zeros / sum(weights)
    assert set(layer_sparsities(model).values()) == {0.5}


def test_zeros_by_hand():
    model = nn.Sequential(zeroed(nn.Linear(4, 5), 5), nn.ReLU(), zeroed(nn.Conv1d(1, 2, 5), 9))
    with torch.no_grad():
        model[0].bias.fill_(0)
        model[2].bias.fill_(1)
    assert num_nonzero(model) == 20 - 5 + 0 + 10 - 9 + 2
    assert sparsity(model) == 14 / 30
    assert layer_sparsities(model) == {"0": 5 / 20, "2": 9 / 10}


def test_sparsity_agrees_with_a_count_over_torchs_own_pruning():
    model = SimpleCNN()
    layers = [(m, "weight") for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=0.3)
    for layer, name in layers:
        prune.remove(layer, name)
    count = sum(layer.weight.numel() for layer, _ in layers)
    assert sparsity(model) == round(0.3 * count) / count


def test_a_model_without_weights_has_no_sparsity():
    assert sparsity(nn.BatchNorm1d(3)) == 0
    assert layer_sparsities(nn.ReLU()) == {}
    assert layer_sparsities(zeroed(nn.Linear(2, 2), 1)) == {"model": 0.25}


def test_plain_bytes_is_the_length_of_torchs_file(tmp_path):
    model = SimpleCNN()
    torch.save(dict(model.state_dict()), tmp_path / "archive.pt")
    assert plain_bytes(model) == (tmp_path / "archive.pt").stat().st_size
    assert plain_bytes(model) > 4 * 53_002


def test_zeros_do_not_shorten_a_plain_file_but_do_shorten_the_others(make_model):
    plain, masked = SimpleCNN(), make_model("new masked")
    assert plain_bytes(masked) == plain_bytes(plain)
    assert gzip_bytes(masked) < 0.7 * gzip_bytes(plain)
    assert packed_bytes(masked) < 0.7 * packed_bytes(plain)


def test_gzip_bytes_is_what_gzip_makes_of_that_file():
    model = SimpleCNN()
    file = io.BytesIO()
    torch.save(plain_state(model), file)
    found = gzip_bytes(model)
    assert found == len(gzip.compress(file.getvalue(), 9))
    assert found == gzip_bytes(model)
    assert zipfile.is_zipfile(file)


def test_packed_bytes_is_the_length_of_the_file(tmp_path, make_model):
    model = make_model("new masked")
    assert packed_bytes(model) == packing.save(model, tmp_path / "model.lwlab")
    assert packed_bytes(model) == (tmp_path / "model.lwlab").stat().st_size


def test_a_class_instead_of_a_model_is_named():
    sentence = "model must be a torch.nn.Module, got the class SimpleCNN. Did you mean SimpleCNN()?"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        num_parameters(SimpleCNN)

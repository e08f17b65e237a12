import copy
import hashlib

import pytest
import torch
from torch import nn

from lwlab import prune
from lwlab.journal import model_fingerprint
from lwlab.models import MLP, SimpleCNN


def linear():
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.zero_()
    return layer


def test_a_fingerprint_by_hand():
    digest = hashlib.sha256(b":Linear;")
    digest.update(b"weight:torch.float32:(1, 2);" + b"\x00\x00\x80\x3f\x00\x00\x00\x40")
    digest.update(b"bias:torch.float32:(1,);" + bytes(4))
    assert model_fingerprint(linear()) == digest.hexdigest()[:12]


def test_weights_and_architecture_count_and_nothing_else_does():
    model = SimpleCNN((1, 8, 8), width=4, hidden=8)
    first = model_fingerprint(model)
    assert model_fingerprint(copy.deepcopy(model)) == first
    assert model_fingerprint(model.eval()) == first
    with torch.no_grad():
        model.conv1.weight[0, 0, 0, 0] += 1
    assert model_fingerprint(model) != first
    assert model_fingerprint(nn.Sequential(linear(), nn.ReLU())) != model_fingerprint(
        nn.Sequential(linear(), nn.Tanh())
    )


def test_a_mask_that_keeps_everything_changes_nothing():
    model = MLP((4,), num_classes=2, widths=(3,))
    first = model_fingerprint(model)
    prune.mask_model_(model, sparsity=0.0)
    assert model_fingerprint(model) == first


def test_several_models_have_one_fingerprint():
    a, b = linear(), nn.Linear(2, 1)
    assert model_fingerprint(a, b) != model_fingerprint(b, a)
    assert len(model_fingerprint(a, b)) == 12


def test_something_else_is_refused():
    with pytest.raises(TypeError, match=r"^model must be a torch.nn.Module, got dict\.$"):
        model_fingerprint({})

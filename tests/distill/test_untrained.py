import copy
import re

import pytest
import torch
from torch import nn

from lwlab.distill.untrained import untrained
from lwlab.train import fit


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_nothing_is_left_of_what_was_learned_and_the_model_keeps_it(small, network):
    model = network(moody=True)
    list(fit(model, small, epochs=2))
    before = copy.deepcopy(model.state_dict())
    fresh = untrained(model, seed=1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    for name, value in fresh.state_dict().items():
        assert value.shape == before[name].shape
        assert not torch.equal(value, before[name]), name
    assert torch.equal(fresh[1].running_mean, torch.zeros(4))


def test_the_seed_decides_and_the_callers_stream_is_left_alone(network):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (untrained(network(), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.fc1.weight, again.fc1.weight)
    assert not torch.equal(first.fc1.weight, other.fc1.weight)
    # The layers start in the same order as in the making of a network.
    assert torch.equal(first.fc1.weight, network(1).fc1.weight)


class Offset(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.ones(3))

    def forward(self, inputs):
        return inputs + self.value


def test_a_layer_that_cannot_start_anew_is_named():
    model = nn.Sequential(nn.Linear(3, 3), Offset())
    with says(
        ValueError,
        "every layer with parameters must have reset_parameters to start anew, got '1', a Offset "
        "without it. Build the network afresh instead.",
    ):
        untrained(model)
    with says(TypeError, "model must be a torch.nn.Module, got int."):
        untrained(3)

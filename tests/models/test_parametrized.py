"""A parametrized module and its deep copy do not share what is added to one of them."""

import copy

import pytest
from torch import nn
from torch.nn.utils import parametrize

from lwlab.models.parametrized import give_own_class_


class Double(nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_a_copy_can_lose_its_parametrization_and_the_original_keeps_it():
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Double())
    twin = copy.deepcopy(layer)
    assert type(twin) is type(layer)
    give_own_class_(twin)
    assert type(twin) is not type(layer)
    assert isinstance(twin, nn.Linear)
    parametrize.remove_parametrizations(twin, "weight")
    assert layer.weight.equal(2 * layer.parametrizations.weight.original)
    assert type(twin) is nn.Linear


def test_without_it_the_original_breaks():
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Double())
    parametrize.remove_parametrizations(copy.deepcopy(layer), "weight")
    with pytest.raises(AttributeError):
        _ = layer.weight


def test_a_plain_module_keeps_its_class():
    layer = nn.Linear(2, 2)
    give_own_class_(layer)
    assert type(layer) is nn.Linear

"""One trained network for all tests of the labs."""

from __future__ import annotations

import copy

import pytest

from lwlab import data
from lwlab.models import SimpleCNN
from lwlab.train import fit


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def trained_once(digits):
    model = SimpleCNN(digits.input_shape, width=8, hidden=32)
    for _ in fit(model, digits, epochs=8):
        pass
    return model


@pytest.fixture
def trained(trained_once):
    return copy.deepcopy(trained_once)

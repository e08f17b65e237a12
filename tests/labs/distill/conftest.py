"""A DistillLab on the trained network, and what its tests ask of it."""

from __future__ import annotations

import re

import pytest

from lwlab.labs.distill import DistillLab
from lwlab.models import SimpleCNN

LONG = 30


@pytest.fixture
def says():
    """Expect an error by its whole sentence."""
    return lambda error, sentence: pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def student():
    return SimpleCNN(width=4, hidden=16, seed=5)


@pytest.fixture
def make(trained, student, digits):
    """Make a lab at rest; two epochs unless a test says otherwise."""

    def lab(**first):
        made = DistillLab(trained, student, digits, **{"epochs": 2, **first})
        assert made.wait(LONG)
        assert made.error is None
        return made

    return lab

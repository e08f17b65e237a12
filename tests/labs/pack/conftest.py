"""A PackLab on the trained network, and what its tests ask of it."""

from __future__ import annotations

import re

import pytest

from lwlab.labs.pack import PackLab

LONG = 60


@pytest.fixture
def says():
    """Expect an error by its whole sentence."""
    return lambda error, sentence: pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def make(trained, digits):
    """Make a lab at rest."""

    def lab(**first):
        made = PackLab(trained, digits, **first)
        assert made.wait(LONG)
        assert made.error is None
        return made

    return lab


@pytest.fixture
def lab(make):
    return make()


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    """Nobody drags a slider in a test: go on at once."""
    monkeypatch.setattr("lwlab.labs.pack.bench._REST_SECONDS", 0.0)

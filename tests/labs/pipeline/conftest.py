"""A PipelineLab on the trained network with a journal of its own, and what its tests ask of it."""

from __future__ import annotations

import re

import pytest

from lwlab.journal import Journal
from lwlab.labs.pipeline import PipelineLab
from lwlab.pipeline import FineTune, Pack, Prune, Quantize

LONG = 60


@pytest.fixture
def says():
    """Expect an error by its whole sentence."""
    return lambda error, sentence: pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def short():
    """Steps that take no time to speak of."""
    return (Prune(0.7), FineTune(1), Quantize(4), Pack())


@pytest.fixture
def make(trained, digits, journal, short):
    """Make a lab at rest, with short steps unless a test says otherwise."""

    def lab(**first):
        settings = {"journal": journal, "steps": short, **first}
        made = PipelineLab(trained, digits, **settings)
        assert made.wait(LONG)
        assert made.error is None
        return made

    return lab

"""A PruneLab on the trained network."""

from __future__ import annotations

import pytest

from lwlab.labs import PruneLab

LONG = 30


@pytest.fixture
def lab(trained, digits):
    lab = PruneLab(trained, digits)
    assert lab.wait(LONG)
    return lab

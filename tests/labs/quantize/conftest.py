"""A QuantizeLab on the trained network."""

from __future__ import annotations

import pytest

from lwlab.labs.quantize import QuantizeLab

LONG = 30


@pytest.fixture
def lab(trained, digits):
    lab = QuantizeLab(trained, digits)
    assert lab.wait(LONG)
    return lab

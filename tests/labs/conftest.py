"""One trained network for all tests of the labs, and what they ask of a lab."""

from __future__ import annotations

import copy
import threading

import pytest

from lwlab import data
from lwlab.models import SimpleCNN
from lwlab.train import fit

LONG = 30


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


@pytest.fixture
def run_shown_code(trained, digits, tmp_path, monkeypatch, capsys):
    """Run the code that a lab shows and return the lines it prints."""

    def run(lab):
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        exec(lab.live.screen.code, {"model": trained, "dataset": digits})
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def until():
    """Wait until what a lab shows meets a condition."""

    def wait(lab, condition):
        met = threading.Event()
        lab.live.observe(lambda _: condition(lab) and met.set(), names=["content", "status"])
        assert condition(lab) or met.wait(LONG)
        lab.live.unobserve_all("content")
        lab.live.unobserve_all("status")

    return wait

"""A PruneLab on the trained network, and its shown code, run."""

from __future__ import annotations

import threading

import pytest

from lwlab.labs import PruneLab

LONG = 30


@pytest.fixture
def lab(trained, digits):
    lab = PruneLab(trained, digits)
    assert lab.wait(LONG)
    return lab


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

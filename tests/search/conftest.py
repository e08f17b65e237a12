"""A tiny network, and tries that take no time."""

from __future__ import annotations

import multiprocessing

import pytest

from lwlab import data
from lwlab.journal import Journal
from lwlab.models import MLP
from lwlab.pipeline import Prune, Quantize, RemoveChannels
from lwlab.search import Outcome, search


def pretend(model, dataset, steps, seed, stopped):
    """A try without any work: what is left costs bytes and gives accuracy, roughly as it does."""
    kept, bits = 1.0, 32
    for step in steps:
        if isinstance(step, Prune):
            kept *= 1 - step.sparsity
        elif isinstance(step, RemoveChannels):
            kept *= 1 - step.pruning_ratio
        elif isinstance(step, Quantize):
            bits = step.num_bits
    size = round(1000 * kept * bits)
    return Outcome(round(1 - 1 / (1 + kept * bits), 2), size, 0.5, repr(steps).encode())


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture
def model(digits):
    return MLP(digits.input_shape, widths=(8,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.log"


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def run(model, digits, path, journal):
    """Search with pretended tries."""

    def run(trials, **settings):
        settings = {"study_path": path, "journal": journal, "evaluate": pretend, **settings}
        return search(model, digits, trials=trials, **settings)

    return run


@pytest.fixture
def start():
    """Start a function in another process of this machine; what is left is killed at the end."""
    context = multiprocessing.get_context("fork")  # a spawned one would import torch again
    processes = []

    def start(function):
        processes.append(context.Process(target=function))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()

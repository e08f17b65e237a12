"""Every exercise: its reference passes, each listed mistake is named, a stub is "not yet"."""

import inspect
import statistics

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lwlab.exercises import TASKS, check
from lwlab.models import SimpleCNN

EVERY = pytest.mark.parametrize("name", list(TASKS))
EVERY_MISTAKE = pytest.mark.parametrize(
    ("name", "mistake"),
    [
        pytest.param(name, mistake, id=f"{name}: {mistake.diagnosis[:40]}")
        for name, task in TASKS.items()
        for mistake in task.mistakes
    ],
)


def stub_like(function, body):
    """Return a function with as many arguments as ``function``."""
    names = ", ".join(inspect.signature(function).parameters)
    return eval(f"lambda {names}: body()", {"body": body})


def not_written():
    raise NotImplementedError


def test_each_lesson_has_at_least_two_exercises():
    lessons = [name.split(".")[0] for name in TASKS]
    assert {lesson: lessons.count(lesson) for lesson in lessons} == {
        "start": 2,
        "measure": 3,
        "distill": 5,
        "prune": 7,
        "channels": 3,
        "quantize": 4,
        "train_quantized": 3,
        "pack": 3,
        "combine": 2,
    }


@EVERY
def test_the_reference_passes(name):
    task = TASKS[name]
    assert name == task.name
    result = check(name, task.reference)
    assert result.passed
    assert result.message == f"All {len(task.cases)} inputs give the expected answer."


@EVERY_MISTAKE
def test_a_known_mistake_is_wrong_and_told_by_its_own_diagnosis(name, mistake):
    result = check(name, mistake.solution)
    assert result.status == "wrong"
    assert result.mistake == mistake.diagnosis
    assert result.difference is not None


@EVERY
def test_a_stub_is_not_yet_done(name):
    task = TASKS[name]
    for body in (lambda: None, not_written):
        result = check(name, stub_like(task.reference, body))
        assert result.status == "not yet"
        assert not result.passed
        assert result.message == f"To do: {task.statement}"
        assert result.difference is None


@EVERY
def test_the_last_hint_is_code_that_passes(name):
    namespace = {"torch": torch}
    exec(TASKS[name].hints[2], namespace)
    assert check(name, namespace[name.split(".")[1]]).passed


@EVERY
def test_the_diagnosis_does_not_give_the_code_away_and_hints_are_three_different_texts(name):
    task = TASKS[name]
    assert len(set(task.hints)) == 3
    assert all("return " not in mistake.diagnosis for mistake in task.mistakes)
    assert all(mistake.diagnosis.endswith((".", "?")) for mistake in task.mistakes)


def test_the_size_of_floats_is_the_memory_that_torch_takes():
    size_of_floats = TASKS["start.size_of_floats"].reference
    model = SimpleCNN()
    held = sum(parameter.untyped_storage().nbytes() for parameter in model.parameters())
    assert size_of_floats(model.parameters()) == held == 4 * 53002


@pytest.mark.parametrize("sizes", [(1, 32, 3), (32, 64, 3), (3, 8, 1), (20, 50, 5)])
def test_the_convolution_counts_are_those_of_torch(sizes):
    layer = nn.Conv2d(*sizes)
    parameters = TASKS["measure.parameters_of_conv"].reference(*sizes)
    assert parameters == sum(parameter.numel() for parameter in layer.parameters())
    image = torch.zeros(1, sizes[0], sizes[2] + 1, sizes[2] + 4)  # the output is 2 x 5
    with FlopCounterMode(display=False) as counter:
        layer(image)
    macs = TASKS["measure.macs_of_conv"].reference(*sizes, 2, 5)
    assert 2 * macs == counter.get_total_flops()


def test_the_median_is_numpys():
    times = [5.0, 9.0, 1.0, 4.0, 4.5]
    for warmup in range(4):
        median = TASKS["measure.median_latency"].reference(times, warmup)
        assert median == np.median(times[warmup:]) == statistics.median(times[warmup:])


@pytest.mark.parametrize("solution", ["topk", "unstable argsort", "from the other end"])
def test_topk_masks_that_choose_otherwise_among_equals_pass(solution):
    def pruned(flat, count):
        if solution == "topk":
            return flat.topk(count, largest=False).indices
        if solution == "unstable argsort":
            return flat.argsort()[:count]
        return len(flat) - 1 - flat.flip(0).argsort(stable=True)[:count]

    def my_mask(importance, sparsity):
        flat = importance.flatten()
        mask = torch.ones(len(flat), dtype=torch.bool)
        mask[pruned(flat, round(sparsity * len(flat)))] = False
        return mask.reshape(importance.shape)

    assert check("prune.topk_mask", my_mask).passed


def test_a_mistake_is_known_also_when_it_chooses_otherwise_among_equals():
    def keeps_the_smallest(importance, sparsity):
        flat = importance.flatten()
        mask = torch.ones(len(flat), dtype=torch.bool)
        order = len(flat) - 1 - flat.flip(0).argsort(stable=True)
        count = round(sparsity * len(flat))
        mask[order[len(flat) - count :]] = False
        return mask.reshape(importance.shape)

    result = check("prune.topk_mask", keeps_the_smallest)
    assert result.mistake == "The least important were kept and the most important pruned."

import json
import re
import signal
import subprocess
import sys

import pytest

from lwlab.models import SimpleCNN
from lwlab.pipeline import (
    Distil,
    FineTune,
    Pack,
    Prune,
    Quantize,
    RemoveChannels,
    ShareWeights,
    StepRecord,
    Train,
    TrainQuantized,
    recipe_from_json,
    run,
    run_all,
)

QUANTIZED = [
    Train(epochs=1),
    Prune(0.5),
    RemoveChannels(0.25),
    FineTune(epochs=1, distil=True),
    Quantize({"conv1": 1, "fc1": 3}, granularity="tensor"),
    TrainQuantized(epochs=1),
    Quantize(2, range_rule="mse"),
    TrainQuantized(epochs=1, learned_step=False),
    TrainQuantized(epochs=1, distil=True),
    Pack(),
]
SHARED = [Prune(pattern="2:4"), ShareWeights(4), Distil(epochs=1), FineTune(epochs=1), Pack()]
MIXED = [Quantize(budget_bytes=900), TrainQuantized(epochs=1), TrainQuantized(epochs=1)]


def stopped_after(count, *arguments, **settings):
    """Run until a step is done, and a few batches of the next one."""
    running = run(*arguments, **settings)
    for record in running:
        if isinstance(record, StepRecord) and record.index == count:
            break
    next(running)
    running.close()


@pytest.mark.parametrize(
    ("steps", "counts"), [(QUANTIZED, (2, 6, 8)), (SHARED, (2,)), (MIXED, (1,))]
)
def test_a_resumed_run_ends_with_the_same_bytes(steps, counts, network, small, tmp_path):
    whole = run_all(network, small, steps)
    for count in counts:
        folder = tmp_path / str(count)
        stopped_after(count, network, small, steps, folder=folder)
        resumed = run_all(network, small, steps, folder=folder)
        done = sum(record.resumed for record in resumed.records)
        assert done >= count
        assert [r.data for r in resumed.records] == [r.data for r in whole.records]
        assert [r.scorecard for r in resumed.records] == [r.scorecard for r in whole.records]


def test_batch_norm_and_dropout_resume_too(normalized, small, tmp_path):
    steps = [Train(epochs=1), RemoveChannels(0.5), FineTune(epochs=1), Quantize(4)]
    stopped_after(2, normalized, small, steps, folder=tmp_path)
    again = run_all(normalized, small, steps, folder=tmp_path)
    assert again.data == run_all(normalized, small, steps).data


def test_a_finished_run_is_read_and_test_may_be_asked_for_later(network, small, tmp_path):
    first = run_all(network, small, SHARED, folder=tmp_path)
    again = run_all(network, small, SHARED, folder=tmp_path, test=True)
    assert all(record.resumed for record in again.records)
    assert again.data == first.data
    assert first.scorecard.test is None
    assert again.scorecard.test is not None
    assert [r.seconds for r in again.records] == [r.seconds for r in first.records]


def test_a_killed_process_leaves_its_finished_steps(tmp_path):
    code = """
import os, signal, sys
import torch
from lwlab import data
from lwlab.models import LeNet300
from lwlab.pipeline import FineTune, Progress, Prune, Train, run
images = data.from_arrays(torch.rand(90, 1, 4, 4), torch.arange(90) % 3)
model = LeNet300((1, 4, 4), 3, width=6)
steps = [Train(epochs=1), Prune(0.5), FineTune(epochs=9)]
for record in run(model, images, steps, folder=sys.argv[1]):
    if isinstance(record, Progress) and record.index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "recipe.json",
        "step-01.npz",
        "step-02.npz",
    ]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_step_counts_as_not_finished(damage, network, small, tmp_path):
    whole = run_all(network, small, SHARED, folder=tmp_path)
    file = tmp_path / "step-03.npz"
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(
        {
            "cut": data[:middle],
            "flip": data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :],
            "empty": b"",
            "text": b"hello",
        }[damage]
    )
    again = run_all(network, small, SHARED, folder=tmp_path)
    assert [r.resumed for r in again.records] == [True, True, False, False, False]
    assert [r.data for r in again.records] == [r.data for r in whole.records]


def test_a_folder_of_another_pipeline_is_refused_and_left_as_it_is(network, small, tmp_path):
    run_all(network, small, SHARED, folder=tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    other = SimpleCNN((1, 4, 4), 3, width=4, hidden=12, seed=3)
    attempts = {
        "recipe": (network, small, SHARED[:-1], {}),
        "model": (other, small, SHARED, {}),
        "teacher": (network, small, SHARED, {"teacher": other}),
    }
    for name, (model, dataset, steps, settings) in attempts.items():
        sentence = (
            f"folder must be one of this pipeline, got one with another {name} in "
            f"{str(tmp_path)!r}. Give another folder."
        )
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            run(model, dataset, steps, folder=tmp_path, **settings)
    with pytest.raises(ValueError, match="one with another recipe in"):
        run(network, small, SHARED, folder=tmp_path, seed=1)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_folder_with_other_things_in_it_is_refused(network, small, tmp_path):
    (tmp_path / "thesis.tex").write_text("long work")
    sentence = (
        f"folder must be empty or hold a pipeline, got 'thesis.tex' in {str(tmp_path)!r}. Give "
        f"another folder."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        run(network, small, SHARED, folder=tmp_path)
    file = tmp_path / "thesis.tex"
    sentence = f"folder must be a folder, got the file {str(file)!r}."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        run(network, small, SHARED, folder=file)
    (tmp_path / "recipe.json").write_text("[")
    with pytest.raises(ValueError, match="folder must be one of this pipeline"):
        run(network, small, SHARED, folder=tmp_path)


def test_the_recipe_in_the_folder_can_be_shared(network, small, tmp_path):
    run_all(network, small, SHARED, folder=tmp_path, seed=4)
    stored = json.loads((tmp_path / "recipe.json").read_text())
    recipe = recipe_from_json(stored["recipe"])
    assert recipe.steps == tuple(SHARED)
    assert recipe.seed == 4

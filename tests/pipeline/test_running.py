import re

import pytest
import torch

from lwlab import packing
from lwlab.distill import Teacher
from lwlab.measure import accuracy, macs
from lwlab.models import SimpleCNN
from lwlab.pipeline import (
    Distil,
    FineTune,
    Pack,
    Progress,
    Prune,
    Quantize,
    RemoveChannels,
    StepRecord,
    Train,
    TrainQuantized,
    run,
    run_all,
)
from lwlab.prune import mask_model_

STEPS = [
    Train(epochs=2, learning_rate=0.01),
    Prune(0.5),
    RemoveChannels(0.25),
    FineTune(epochs=1, distil=True),
    Quantize(4),
    TrainQuantized(epochs=1),
    Pack(),
]


def kinds(records):
    return "".join("s" if isinstance(record, StepRecord) else "." for record in records)


def test_progress_comes_batch_by_batch_and_a_record_after_each_step(network, small):
    records = list(run(network, small, STEPS))  # 84 images: 2 batches an epoch
    assert kinds(records) == "....sss..ss..ss"
    progress = [record for record in records if isinstance(record, Progress)]
    assert [p.index for p in progress] == [1, 1, 1, 1, 4, 4, 6, 6]
    assert [p.fraction for p in progress[:4]] == [0.25, 0.5, 0.75, 1.0]
    steps = [record for record in records if isinstance(record, StepRecord)]
    assert [(r.index, r.total, r.step) for r in steps] == [
        (number, 7, step) for number, step in enumerate(STEPS, start=1)
    ]
    assert all(r.seconds >= 0 and not r.resumed for r in steps)


def test_a_scorecard_is_of_the_file_that_loads_back(network, small):
    for record in run(network, small, STEPS, test=True):
        if isinstance(record, Progress):
            continue
        fresh = SimpleCNN((1, 4, 4), 3, width=4, hidden=12, seed=7)
        packing.from_bytes_(fresh, record.data, resize=True)
        card = record.scorecard
        assert card.size_bytes == len(record.data)
        assert card.accuracy == accuracy(fresh, small.validation)
        assert card.macs == macs(fresh, small.input_shape)
        last = record.step == Pack()
        assert card.test == (accuracy(fresh, small.test) if last else None)
    assert str(record).startswith("7 of 7: Pack into one file and load it back: accuracy")


def test_the_model_and_the_callers_random_stream_are_left_alone(normalized, small, same):
    before = {name: tensor.clone() for name, tensor in normalized.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    for _ in run(normalized, small, [Train(epochs=1), Prune(0.5), FineTune(epochs=1)]):
        pass
    assert torch.equal(torch.rand(4), expected)
    assert normalized.training
    assert all(torch.equal(t, before[name]) for name, t in normalized.state_dict().items())


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(network, small):
    first, again = (run_all(network, small, STEPS) for _ in range(2))
    assert first.data == again.data
    assert first.data != run_all(network, small, STEPS, seed=1).data
    assert len(first.records) == len(STEPS)
    assert first.scorecard == first.records[-1].scorecard
    assert accuracy(first.model, small.validation) == first.scorecard.accuracy


def test_packed_by_pack_or_not_the_file_is_the_same(network, small):
    assert run_all(network, small, STEPS).data == run_all(network, small, STEPS[:-1]).data


def test_a_run_that_is_closed_stops_between_two_batches(network, small):
    running = run(network, small, [Train(epochs=1000)])
    assert next(running).training.step == 1
    running.close()
    assert list(running) == []


def test_the_teacher_is_the_one_that_is_given_else_the_model(network, small):
    steps = [Distil(epochs=2, alpha=1.0)]
    other = SimpleCNN((1, 4, 4), 3, width=8)
    alone = run_all(network, small, steps).data
    assert run_all(network, small, steps, teacher=network).data == alone
    taught = run_all(network, small, steps, teacher=other).data
    assert taught != alone
    assert run_all(network, small, steps, teacher=Teacher(other)).data == taught


def test_wrong_arguments_are_refused_at_the_call(network, small):
    with pytest.raises(TypeError, match=re.escape("model must be a torch.nn.Module, got int.")):
        run(3, small, STEPS)
    sentence = "dataset must be an lwlab.data.Dataset, got Split. Try data.from_arrays."
    with pytest.raises(TypeError, match=re.escape(sentence)):
        run(network, small.train, STEPS)
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        run(network, small, STEPS, seed=-1)
    with pytest.raises(ValueError, match="steps must be in an order that makes sense"):
        run(network, small, [FineTune()])
    mask_model_(network, sparsity=0.5)
    sentence = (
        "model must be plain, got one with masks or quantizers on it. Give the model that it was "
        "made from, and let the steps put them on."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        run(network, small, STEPS)

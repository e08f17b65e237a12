import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab import data
from lwlab.measure import accuracy
from lwlab.train.choices import labelled_cross_entropy
from lwlab.train.loop import fit


def logits(count=6, classes=4):
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(0))


def test_with_all_labels_the_cross_entropy_is_torchs_to_the_bit():
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    ours, theirs = logits().requires_grad_(), logits().requires_grad_()
    first, second = labelled_cross_entropy(ours, targets), F.cross_entropy(theirs, targets)
    first.backward()
    second.backward()
    assert torch.equal(first, second)
    assert torch.equal(ours.grad, theirs.grad)


def test_the_mean_runs_over_the_labelled_examples():
    targets = torch.tensor([0, -1, -1, 3, -1, -1])
    by_hand = F.cross_entropy(logits()[[0, 3]], targets[[0, 3]])
    assert labelled_cross_entropy(logits(), targets).item() == pytest.approx(by_hand.item())


def test_without_any_label_the_loss_is_zero_and_can_still_be_derived():
    student = logits().requires_grad_()
    loss = labelled_cross_entropy(student, torch.full((6,), -1))
    loss.backward()
    assert loss.item() == 0
    assert not student.grad.any()


def half_labelled(targets):
    whole = data.from_arrays(torch.randn(60, 3), torch.arange(60) % 2)
    return data.Dataset(
        "half",
        data.Split(whole.train.inputs, targets(whole.train.targets)),
        whole.validation,
        whole.test,
        whole.class_names,
    )


def every_other(targets):
    return torch.where(torch.arange(len(targets)) % 2 == 0, targets, -1)


def test_training_with_missing_labels_counts_the_labelled_examples_alone():
    dataset = half_labelled(every_other)
    model = nn.Linear(3, 2)
    known = data.Split(dataset.train.inputs[::2], dataset.train.targets[::2])
    before = accuracy(model, known)
    # One step an epoch: the batch is scored before its update.
    record = next(fit(model, dataset, epochs=1, batch_size=100))
    assert record.training_accuracy == before.value
    assert math.isfinite(record.loss)


def test_training_without_any_label_says_nan_for_the_training_accuracy():
    dataset = half_labelled(lambda targets: torch.full_like(targets, -1))
    record = next(fit(nn.Linear(3, 2), dataset, epochs=1))
    assert math.isnan(record.training_accuracy)
    assert record.loss == 0
    assert 0 <= record.validation_accuracy <= 1

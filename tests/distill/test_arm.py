import re

import pytest
import torch
from torch import nn

from lwlab.data.subsets import few_labels
from lwlab.distill.arm import Arm, Start, labels_alone
from lwlab.train import cross_entropy


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_factory_gives_the_student_of_its_seed(network, small):
    arm = Arm(network)
    for seed in (0, 1):
        start = arm.start(small, seed, batch_size=16)
        assert torch.equal(weights(start.student), weights(network(seed)))
        assert (start.dataset, start.seed, start.batch_size) == (small, seed, 16)


def test_a_module_stands_for_its_form_and_is_left_alone(network, small):
    model = network(5)
    before = weights(model)
    one, again, other = (Arm(model).start(small, seed).student for seed in (0, 0, 1))
    assert torch.equal(weights(one), weights(again))
    assert not torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), before)
    assert torch.equal(weights(model), before)


def test_a_factory_that_hands_out_one_module_gives_copies(network, small):
    model = network(0)
    assert Arm(lambda seed: model).start(small, 0).student is not model


def test_the_learning_rate_may_depend_on_the_start(network, small):
    start = Start(network(), small, seed=4)
    assert Arm(network, learning_rate=0.5).rate(start) == 0.5
    assert Arm(network, learning_rate=lambda start: 0.5 * start.seed).rate(start) == 2.0
    sentence = "learning_rate must be a finite number above 0, got 0.0."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Arm(network, learning_rate=lambda start: 0).rate(start)


def test_the_data_set_may_depend_on_the_seed(network, small):
    arm = Arm(network, change_dataset=lambda dataset, seed: few_labels(dataset, 2, seed))
    one, other = (arm.changed(small, seed).train.targets for seed in (0, 1))
    assert int((one >= 0).sum()) == 6
    assert not torch.equal(one, other)
    assert Arm(network).changed(small, 0) is small


def test_a_loss_with_a_block_is_entered_and_left(network, small):
    events = []

    class Loss:
        def __enter__(self):
            events.append("in")
            return cross_entropy

        def __exit__(self, *error):
            events.append("out")

    with Arm(network, make_loss=lambda start: Loss()).loss(Start(network(), small, 0)) as loss:
        assert loss is cross_entropy
        assert events == ["in"]
    assert events == ["in", "out"]


def test_without_more_words_an_arm_learns_from_the_labels(network, small):
    assert labels_alone(Start(network(), small, 0)) is cross_entropy
    with Arm(network).loss(Start(network(), small, 0)) as loss:
        assert loss is cross_entropy


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        (
            {"student": 3},
            TypeError,
            "student must be a module, or a function seed -> module, got 3.",
        ),
        (
            {"student": nn.Linear},
            TypeError,
            (
                "student must be a module, or a function seed -> module, got the class Linear. "
                "Try lambda seed: Linear(seed=seed)."
            ),
        ),
        (
            {"make_loss": None},
            TypeError,
            "make_loss must be a function start -> loss, got None.",
        ),
        (
            {"learning_rate": 0},
            ValueError,
            "learning_rate must be a finite number above 0, got 0.0.",
        ),
        (
            {"augment": 2},
            TypeError,
            "augment must be a function (inputs, generator) -> inputs, got 2.",
        ),
        (
            {"change_dataset": 10},
            TypeError,
            "change_dataset must be a function (dataset, seed) -> dataset, got 10.",
        ),
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, got 0."),
        (
            {"optimizer": "adam"},
            TypeError,
            "optimizer must be a function (parameters, rate) -> optimizer, got 'adam'.",
        ),
        (
            {"schedule": 1},
            TypeError,
            "schedule must be a function progress -> factor, got 1.",
        ),
    ],
)
def test_bad_settings_are_told_at_once(network, settings, error, sentence):
    whole = {"student": network} | settings
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        Arm(**whole)


def test_what_a_factory_returns_is_looked_at(network, small):
    sentence = "student must return a Module, got int."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        Arm(lambda seed: seed).start(small, 0)
    sentence = "change_dataset must return a Dataset, got Split."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        Arm(network, change_dataset=lambda dataset, seed: dataset.train).changed(small, 0)

import copy
import re

import pytest
import torch
import torch.nn.functional as F

from lwlab.distill.answers import CachedAnswers
from lwlab.distill.objectives import Distillation, Scaled
from lwlab.distill.stepping import distance_travelled, gradient_norm, gradient_ratio, step_ratio
from lwlab.distill.teacher import Teacher
from lwlab.train.choices import cross_entropy
from lwlab.train.loop import fit


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def sgd(parameters, learning_rate):
    return torch.optim.SGD(parameters, lr=learning_rate)


def test_the_norm_is_that_of_the_gradient_at_the_present_weights(small, network):
    model, train = network(), small.train
    by_hand = copy.deepcopy(model)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(4))
    lengths = []
    for places in order.split(20)[:2]:
        by_hand.zero_grad()
        F.cross_entropy(by_hand(train.inputs[places]), train.targets[places]).backward()
        lengths.append(torch.cat([p.grad.flatten() for p in by_hand.parameters()]).norm())
    ours = gradient_norm(model, small, cross_entropy, batch_size=20, num_batches=2, seed=4)
    assert ours == pytest.approx(float(sum(lengths) / 2), rel=1e-5)


def test_a_loss_twice_as_large_has_twice_the_gradient_and_steps_of_twice_the_size(small, network):
    twice = Scaled(cross_entropy, 2.0)
    assert gradient_ratio(network(), small, twice, cross_entropy) == pytest.approx(2, rel=1e-5)
    # One step: later ones start from other weights.
    one_step = {"steps": 1, "learning_rate": 1e-3, "optimizer": sgd}
    assert step_ratio(network(), small, twice, cross_entropy, **one_step) == pytest.approx(
        2, rel=1e-3
    )


def test_adam_takes_the_same_steps_whatever_the_factor(small, network):
    hundred = Scaled(cross_entropy, 100.0)
    assert step_ratio(network(), small, hundred, cross_entropy) == pytest.approx(1, rel=1e-2)


def test_a_control_scaled_by_the_ratio_starts_with_steps_of_the_same_size(small, network):
    student = network(1)
    distilled = Distillation(CachedAnswers(Teacher(network()), small), temperature=8.0)
    settings = {"batch_size": 64, "seed": 2}
    factor = gradient_ratio(student, small, distilled, cross_entropy, num_batches=1, **settings)
    assert abs(factor - 1) > 0.05
    control = Scaled(cross_entropy, factor)
    first_step = {"steps": 1, "learning_rate": 1e-3, "optimizer": sgd} | settings
    assert step_ratio(student, small, distilled, control, **first_step) == pytest.approx(
        1, rel=1e-3
    )


def test_the_distance_is_that_between_the_weights_before_and_after(small, network):
    model, moved = network(), network()
    ours = distance_travelled(model, small, cross_entropy, steps=2, batch_size=16, seed=3)
    steps = fit(moved, small, epochs=1, batch_size=16, seed=3, steps_per_record=1)
    next(steps), next(steps)
    squares = [
        (a - b).square().sum() for a, b in zip(moved.parameters(), model.parameters(), strict=True)
    ]
    assert ours == pytest.approx(sum(squares).sqrt().item(), rel=1e-5)


def test_the_model_is_left_as_it_is(small, network):
    model = network(moody=True)
    before = copy.deepcopy(model.state_dict())
    gradient_norm(model, small, cross_entropy)
    distance_travelled(model, small, cross_entropy, steps=3)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_mistakes_get_one_sentence(small, network):
    def nothing(outputs, batch):
        return 0 * outputs.sum()

    sentence = "reference must have a gradient that is not 0, got 0. Give it a batch with labels."
    with says(ValueError, sentence):
        gradient_ratio(network(), small, cross_entropy, nothing)
    with says(ValueError, sentence):
        step_ratio(network(), small, cross_entropy, nothing)
    with says(ValueError, "num_batches must be a whole number of at least 1, got 0."):
        gradient_norm(network(), small, cross_entropy, num_batches=0)
    with says(ValueError, "steps must be a whole number of at least 1, got 0."):
        distance_travelled(network(), small, cross_entropy, steps=0)
    with says(TypeError, "model must be a torch.nn.Module, got int."):
        gradient_norm(3, small, cross_entropy)

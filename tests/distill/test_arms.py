import re

import pytest
import torch

from lwlab.distill.answers import CachedAnswers, LiveAnswers, ShuffledAnswers
from lwlab.distill.arm import Arm
from lwlab.distill.arms import (
    alone,
    distilled,
    equal_step,
    label_smoothing,
    random_teacher,
    shuffled,
    standard_arms,
)
from lwlab.distill.objectives import LabelSmoothing
from lwlab.distill.stepping import distance_travelled
from lwlab.distill.teacher import Teacher
from lwlab.train import cross_entropy
from lwlab.train.augmenting import Shift


def loss_of(arm, dataset, seed=0):
    with arm.loss(arm.start(arm.changed(dataset, seed), seed)) as loss:
        return loss


def test_a_distilled_arm_has_its_settings_in_their_places(network, small):
    teacher = Teacher(network(9))
    arm = distilled(network, teacher, temperature=7, alpha=0.3, kind="dkd", learning_rate=0.01)
    loss = loss_of(arm, small)
    assert (loss.temperature, loss.alpha, loss.kind) == (7, 0.3, "dkd")
    assert arm.learning_rate == 0.01
    assert isinstance(loss.answers, CachedAnswers)
    assert torch.equal(loss.answers.logits, teacher.logits(small.train.inputs))


def test_with_augmentation_the_teacher_answers_what_the_student_sees(network, small):
    arm = distilled(network, network(9), augment=Shift(1))
    assert isinstance(loss_of(arm, small).answers, LiveAnswers)
    assert arm.augment == Shift(1)


def test_a_shuffled_arm_shuffles_the_same_answers_by_its_seed(network, small):
    loss = loss_of(shuffled(network, network(9), alpha=0.4), small, seed=3)
    assert isinstance(loss.answers, ShuffledAnswers)
    assert (loss.alpha, loss.answers.seed) == (0.4, 3)
    assert torch.equal(
        loss.answers.answers.logits, loss_of(distilled(network, network(9)), small).answers.logits
    )


def test_a_random_teacher_knows_nothing_and_is_drawn_for_each_seed(network, small):
    known = network(9)
    arm = random_teacher(network, known)
    zero, one = (loss_of(arm, small, seed).answers.logits for seed in (0, 1))
    assert not torch.equal(zero, one)
    for other in (known, network(0)):  # Neither the teacher, nor the student before training.
        assert not torch.allclose(zero, Teacher(other).logits(small.train.inputs))


def test_a_random_ensemble_has_different_members(network, small):
    arm = random_teacher(network, Teacher([network(7), network(8)], temperature=2.0))
    single = random_teacher(network, Teacher(network(7)))
    pair = loss_of(arm, small).answers.logits
    assert not torch.allclose(pair, loss_of(single, small).answers.logits)


def test_arms_without_a_teacher(network, small):
    assert loss_of(alone(network), small) is cross_entropy
    assert loss_of(label_smoothing(network, amount=0.2), small) == LabelSmoothing(0.2)
    assert label_smoothing(network, learning_rate=0.5).learning_rate == 0.5


def test_equal_step_begins_with_steps_as_long_as_the_distilled_ones(network, small):
    def descent(parameters, learning_rate):
        return torch.optim.SGD(parameters, lr=learning_rate)

    arm = distilled(
        network, network(9), alpha=1.0, temperature=3, learning_rate=1e-4, optimizer=descent
    )
    control = equal_step(arm, steps=4)
    start = control.start(small, 0, batch_size=10)
    before = torch.cat([p.detach().flatten() for p in start.student.parameters()])
    common = {"steps": 4, "batch_size": 10, "optimizer": descent}
    rate = control.rate(start)
    with arm.loss(start) as loss:
        wanted = distance_travelled(start.student, small, loss, learning_rate=1e-4, **common)
    walked = distance_travelled(start.student, small, cross_entropy, learning_rate=rate, **common)
    plain = distance_travelled(start.student, small, cross_entropy, learning_rate=1e-4, **common)
    assert walked == pytest.approx(wanted, rel=0.01)
    assert abs(plain - wanted) > 0.1 * wanted  # else there would be nothing to match
    after = torch.cat([p.detach().flatten() for p in start.student.parameters()])
    assert torch.equal(before, after)
    assert loss_of(control, small) is cross_entropy
    assert control.optimizer is descent


def test_equal_step_keeps_all_but_loss_and_learning_rate(network):
    arm = distilled(network, network(9), augment=Shift(1), epochs=3)
    control = equal_step(arm)
    assert (control.student, control.augment, control.epochs) == (network, Shift(1), 3)


def test_the_standard_arms_are_one_student_with_all_its_controls(network, small):
    arms = standard_arms(network, network(9), temperature=2, smoothing=0.3, learning_rate=0.01)
    assert list(arms) == [
        "alone",
        "label smoothing",
        "equal step",
        "random teacher",
        "shuffled",
        "distilled",
    ]
    assert all(arm.student is network for arm in arms.values())
    assert {arm.learning_rate for name, arm in arms.items() if name != "equal step"} == {0.01}
    assert loss_of(arms["label smoothing"], small).amount == 0.3
    for name in ("random teacher", "shuffled", "distilled"):
        assert loss_of(arms[name], small).temperature == 2


@pytest.mark.parametrize("arm", [distilled, shuffled, random_teacher])
def test_bad_settings_are_told_at_once(network, arm):
    teacher = network(9)
    sentence = "temperature must be a finite number above 0, got 0.0."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        arm(network, teacher, temperature=0)
    sentence = "alpha must be a fraction in [0, 1], got 1.5."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        arm(network, teacher, alpha=1.5)
    with pytest.raises(ValueError, match=r"got 'temprature'\. Did you mean 'temperature'\?$"):
        arm(network, teacher, temprature=3)
    with pytest.raises(TypeError, match=r"^models must be a torch\.nn\.Module, got int\.$"):
        arm(network, 3)


def test_equal_step_needs_an_arm():
    sentence = "arm must be a distill.Arm, got int. Try distilled(...)."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        equal_step(3)
    assert isinstance(equal_step(Arm(lambda seed: None)), Arm)

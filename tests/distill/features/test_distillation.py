import re

import pytest
import torch
from torch import nn

from lwlab.distill.answers import CachedAnswers
from lwlab.distill.arm import Arm
from lwlab.distill.arms import equal_step
from lwlab.distill.features import (
    Attention,
    FeatureDistillation,
    Hint,
    Relation,
    attention_loss,
    features_of,
)
from lwlab.distill.objectives import Distillation
from lwlab.distill.stepping import gradient_norm
from lwlab.distill.students import train_students
from lwlab.distill.teacher import Teacher
from lwlab.models import SimpleCNN
from lwlab.train import Batch, cross_entropy, fit
from lwlab.train.augmenting import Shift

CONVOLUTIONS = [("conv2", "conv2")]


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(student, dataset, loss, **settings):
    return list(fit(student, dataset, loss=loss, **({"epochs": 2, "batch_size": 10} | settings)))


@pytest.fixture
def thin():
    return lambda seed=0: SimpleCNN((1, 4, 4), 3, width=3, hidden=6, seed=seed)


@pytest.fixture
def teacher(network, small):
    model = network(9)
    train(model, small, cross_entropy)
    return model


@pytest.mark.parametrize("match", [Hint(), Attention(), Relation()])
@pytest.mark.parametrize("pairs", [[("conv1", "conv2")], [("conv1", "conv1"), *CONVOLUTIONS]])
def test_each_match_comes_nearer_to_the_teacher_and_leaves_a_plain_student(
    thin, teacher, small, match, pairs
):
    student, names = thin(), list(thin().state_dict())
    with FeatureDistillation(student, teacher, small, pairs, match=match, weight=10) as loss:
        records = train(student, small, loss, epochs=8, learning_rate=0.01)
        assert list(student.state_dict()) == names
    assert records[-1].loss < records[0].loss
    assert [name for name, _ in student.named_parameters()] == names
    assert sum(len(module._forward_hooks) for module in student.modules()) == 0
    assert not torch.equal(weights(student), weights(thin()))


def test_the_loss_is_base_plus_weight_times_match_of_the_activations(thin, teacher, small):
    student = thin()
    inputs, targets = small.train.inputs[:7], small.train.targets[:7]
    batch = Batch(inputs, targets, torch.arange(7))
    with FeatureDistillation(student, teacher, small, CONVOLUTIONS, weight=3.0) as loss:
        outputs = student(inputs)
        value = loss(outputs, batch)
    ours = features_of(student, inputs, ["conv2"])["conv2"].relu()
    theirs = features_of(teacher, inputs, ["conv2"])["conv2"].relu()
    wanted = cross_entropy(outputs, batch) + 3 * attention_loss(ours, theirs)
    assert torch.allclose(value, wanted)
    plain = {"weight": 3.0, "activation": nn.Identity()}
    with FeatureDistillation(student, teacher, small, CONVOLUTIONS, **plain) as loss:
        assert not torch.allclose(loss(student(inputs), batch), wanted)


def test_without_weight_it_is_the_base_to_the_bit(thin, teacher, small):
    one, other = thin(), thin()
    base = Distillation(CachedAnswers(Teacher(teacher), small))
    with FeatureDistillation(
        one, teacher, small, CONVOLUTIONS, match=Hint(), weight=0, base=base
    ) as loss:
        train(one, small, loss)
    train(other, small, base)
    assert torch.equal(weights(one), weights(other))


def test_the_regressor_learns_along_with_its_student(thin, teacher, small):
    student = thin()
    with FeatureDistillation(student, teacher, small, CONVOLUTIONS, match=Hint()) as loss:
        [regressor] = loss.regressors.values()
        before = weights(regressor)
        train(student, small, loss, epochs=1)
        assert not torch.equal(weights(regressor), before)
    assert regressor.weight.shape == (16, 6, 1, 1)


def test_the_seed_is_of_the_regressor(thin, teacher, small):
    def regressor(seed):
        made = FeatureDistillation(
            thin(), teacher, small, CONVOLUTIONS, match=Hint(), seed=seed
        ).regressors
        return weights(made["conv2", "conv2"])

    assert torch.equal(regressor(1), regressor(1))
    assert not torch.equal(regressor(1), regressor(2))


def test_teacher_and_random_stream_are_left_alone(network, small):
    teacher = network(9, moody=True).train()
    state = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    student = network(1, moody=True)
    torch.manual_seed(5)
    stream = torch.get_rng_state()
    with FeatureDistillation(student, teacher, small, [("2", "2")], match=Hint()) as loss:
        train(student, small, loss, augment=Shift(1))
    assert all(torch.equal(state[name], tensor) for name, tensor in teacher.state_dict().items())
    assert teacher.training
    assert all(p.grad is None and p.requires_grad for p in teacher.parameters())
    assert torch.equal(stream, torch.get_rng_state())


def test_measuring_a_gradient_on_a_copy_moves_neither_student_nor_regressor(thin, teacher, small):
    student = thin()
    with FeatureDistillation(student, teacher, small, CONVOLUTIONS, match=Hint()) as loss:
        before = weights(student), weights(loss.regressors["conv2", "conv2"])
        length = gradient_norm(student, small, loss, batch_size=10, num_batches=2)
        plain = gradient_norm(student, small, cross_entropy, batch_size=10, num_batches=2)
        assert torch.equal(weights(student), before[0])
        assert torch.equal(weights(loss.regressors["conv2", "conv2"]), before[1])
    assert length != plain


def test_a_teacher_that_refuses_channels_last_can_teach(thin, small):
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, padding=1)
            self.linear = nn.Linear(64, 3)

        def forward(self, x):
            return self.linear(self.conv(x).view(len(x), -1))

    student = thin()
    with FeatureDistillation(student, Viewing(), small, [("conv1", "conv")]) as loss:
        assert len(train(student, small, loss, epochs=1)) == 1


def test_an_arm_may_learn_from_features(thin, teacher, small):
    arm = Arm(
        thin,
        make_loss=lambda start: FeatureDistillation(
            start.student, teacher, start.dataset, CONVOLUTIONS, match=Hint(), seed=start.seed
        ),
    )
    arms = {"features": arm, "equal step": equal_step(arm, steps=2)}
    rows = list(train_students(arms, small, seeds=[0], epochs=1, batch_size=10))
    assert [row.arm for row in rows] == ["features", "equal step"]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"pairs": [("conv3", "conv2")]},
            ValueError,
            (
                "layer of the student must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got "
                "'conv3'. Did you mean 'conv2'?"
            ),
        ),
        (
            {"pairs": [("conv2", "fc")]},
            ValueError,
            (
                "layer of the teacher must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc'. "
                "Did you mean 'fc2'?"
            ),
        ),
        (
            {"pairs": []},
            ValueError,
            (
                "pairs must be a list of (layer of the student, layer of the teacher), at least "
                "one, got none."
            ),
        ),
        (
            {"pairs": "conv1"},
            TypeError,
            ("pairs must be a list of (layer of the student, layer of the teacher), got 'conv1'."),
        ),
        (
            {"pairs": ["conv1", "conv2"]},
            TypeError,
            (
                "pairs must be a list of (layer of the student, layer of the teacher), got "
                "'conv1' in it. Try [('fc1', 'fc1')]."
            ),
        ),
        (
            {"pairs": [("conv1", "fc1")], "match": Hint()},
            ValueError,
            (
                "features of student and teacher must both be (N, D) or both (N, C, H, W), got "
                "(4, 3, 4, 4) and (4, 16). Pair layers of one kind."
            ),
        ),
        (
            {"pairs": [("fc1", "fc1")]},
            ValueError,
            (
                "features must have shape (N, C, H, W) to have an attention map, got (4, 6). "
                "Name a convolution."
            ),
        ),
        ({"weight": -1}, ValueError, "weight must be a finite number of at least 0, got -1.0."),
        ({"student": 3}, TypeError, "student must be a torch.nn.Module, got int."),
        ({"teacher": 3}, TypeError, "models must be a torch.nn.Module, got int."),
        (
            {"dataset": 3},
            TypeError,
            "dataset must be an lwlab.data.Dataset, got int. Try data.from_arrays.",
        ),
    ],
)
def test_what_does_not_fit_is_told_at_once(thin, teacher, small, changes, error, sentence):
    whole = {"student": thin(), "teacher": teacher, "dataset": small, "pairs": CONVOLUTIONS}
    with says(error, sentence):
        FeatureDistillation(**(whole | changes))


def test_an_ensemble_is_refused(thin, network, small):
    sentence = "teacher must be one network to be looked into, got 2. Name one of them."
    with says(ValueError, sentence):
        FeatureDistillation(thin(), Teacher([network(0), network(1)]), small, CONVOLUTIONS)


def test_it_works_inside_its_block_and_with_its_student_only(thin, teacher, small):
    student = thin()
    loss = FeatureDistillation(student, teacher, small, CONVOLUTIONS)
    outside = (
        "FeatureDistillation must be used inside its block, got a call outside. Write "
        "with FeatureDistillation(...) as loss: and train there."
    )
    with says(ValueError, outside):
        train(student, small, loss)
    other = (
        "FeatureDistillation must be given the outputs of its student, got those of a model that "
        "it does not watch. Train the student that it was made with."
    )
    with loss, says(ValueError, other):
        train(thin(), small, loss)
    with loss:
        train(student, small, loss, epochs=1)
        with says(ValueError, other):  # and does not take the features of the batch before
            train(thin(), small, loss)
    twice = "FeatureDistillation must be entered once, got a block in its block."
    with loss:
        with says(ValueError, twice), loss:
            pass
        assert len(train(student, small, loss, epochs=1)) == 1

import copy
import re

import pytest
import torch

from lwlab import data
from lwlab.distill.answers import CachedAnswers, LiveAnswers, ShuffledAnswers
from lwlab.distill.correlation import correlation_loss
from lwlab.distill.decoupled import decoupled_loss
from lwlab.distill.losses import distillation_loss, hard_loss, logit_matching_loss, soft_loss
from lwlab.distill.objectives import KINDS, Distillation, LabelSmoothing, Scaled
from lwlab.distill.smoothing import label_smoothing_loss
from lwlab.distill.teacher import Teacher
from lwlab.distill.untrained import untrained
from lwlab.models import SimpleCNN
from lwlab.train.augmenting import Shift
from lwlab.train.choices import cross_entropy
from lwlab.train.loop import fit
from lwlab.train.records import Batch


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def batch():
    targets = torch.tensor([0, 1, 2, -1, -1, 0, 1, 2])
    return Batch(torch.zeros(8, 1, 4, 4), targets, torch.arange(8))


@pytest.fixture
def given(logits):
    """Answers that are always the same."""
    return lambda batch: logits(2)


def test_each_kind_mixes_its_own_soft_term_with_the_cross_entropy(logits, batch, given):
    student, teacher, targets = logits(1), logits(2), batch.targets
    soft = {
        "kl": soft_loss(student, teacher, temperature=3.0),
        "mse": logit_matching_loss(student, teacher),
        "dkd": decoupled_loss(
            student, teacher, targets, temperature=3.0, target_weight=2.0, other_weight=5.0
        ),
        "dist": correlation_loss(
            student, teacher, temperature=3.0, inter_weight=2.0, intra_weight=0.5
        ),
    }
    assert set(soft) == set(KINDS)
    for kind, expected in soft.items():
        loss = Distillation(
            given,
            temperature=3.0,
            alpha=0.3,
            kind=kind,
            target_weight=2.0,
            other_weight=5.0,
            inter_weight=2.0,
            intra_weight=0.5,
        )
        mixed = 0.7 * hard_loss(student, targets) + 0.3 * expected
        torch.testing.assert_close(loss(student, batch), mixed)


def test_the_usual_kind_is_the_loss_of_the_paper_with_its_defaults(logits, batch, given):
    ours = Distillation(given)(logits(1), batch)
    assert torch.equal(ours, distillation_loss(logits(1), logits(2), batch.targets))


class Swapped(Distillation):
    """The classical wrong version: student and teacher change places."""

    def __call__(self, outputs, batch):
        log_student = (self.answers(batch) / self.temperature).log_softmax(1)
        student = (outputs / self.temperature).log_softmax(1)
        divergence = (student.exp() * (student - log_student)).sum(1).mean()
        return self.alpha * self.temperature**2 * divergence


def pulls_towards_the_teacher(kind, logits, batch, given):
    """The gradient of the paper: alpha T (q - p) / N, and none for the teacher."""
    student = logits(1).requires_grad_()
    kind(given, temperature=3.0, alpha=1.0)(student, batch).backward()
    q, p = ((z / 3.0).softmax(1) for z in (student.detach(), logits(2)))
    return torch.allclose(student.grad, 3.0 * (q - p) / 8, atol=1e-6)


def test_student_and_teacher_are_not_swapped(logits, batch, given):
    assert pulls_towards_the_teacher(Distillation, logits, batch, given)
    assert not pulls_towards_the_teacher(Swapped, logits, batch, given)


def test_the_student_learns_and_the_teacher_stays(small, network):
    teacher_model = network()
    list(fit(teacher_model, small, epochs=30, learning_rate=1e-2))
    teacher = Teacher(teacher_model)
    answers = CachedAnswers(teacher, small)
    frozen = copy.deepcopy(teacher.models[0].state_dict())
    unlabelled = data.Dataset(
        "unlabelled",
        data.Split(small.train.inputs, torch.full_like(small.train.targets, -1)),
        small.validation,
        small.test,
        small.class_names,
    )
    # Without a single label: whatever the student knows, the teacher has told it.
    student = network(1)
    loss = Distillation(CachedAnswers(teacher, unlabelled), temperature=2.0)
    *_, last = fit(student, unlabelled, epochs=30, learning_rate=1e-2, loss=loss)
    assert last.validation_accuracy > 0.9
    for name, tensor in teacher.models[0].state_dict().items():
        assert torch.equal(tensor, frozen[name])
    # With another's answers it learns nothing of the sort.
    misled = network(1)
    loss = Distillation(ShuffledAnswers(answers), alpha=1.0)
    *_, last = fit(misled, small, epochs=30, learning_rate=1e-2, loss=loss)
    assert last.validation_accuracy < 0.7


def test_all_arms_train_on_labelled_and_augmented_data(small, network):
    teacher = Teacher(network())
    random_one = Teacher(untrained(network(), seed=3))
    arms = [
        (cross_entropy, None),
        (LabelSmoothing(0.1), None),
        (Scaled(cross_entropy, 2.0), None),
        (Distillation(CachedAnswers(random_one, small)), None),
        (Distillation(LiveAnswers(teacher), kind="dkd"), Shift(1)),
        (Distillation(ShuffledAnswers(LiveAnswers(teacher))), Shift(1)),
    ]
    for loss, augment in arms:
        model = SimpleCNN((1, 4, 4), 3, width=8, hidden=16)
        before = model.fc2.weight.clone()
        list(fit(model, small, epochs=1, loss=loss, augment=augment))
        assert not torch.equal(model.fc2.weight, before)


def test_label_smoothing_and_scaling_are_what_they_say(logits, batch):
    smoothed = label_smoothing_loss(logits(1), batch.targets, amount=0.3)
    assert torch.equal(LabelSmoothing(0.3)(logits(1), batch), smoothed)
    scaled = Scaled(cross_entropy, 2.5)(logits(1), batch)
    assert torch.equal(scaled, 2.5 * cross_entropy(logits(1), batch))


def test_mistakes_get_one_sentence(network, given):
    with says(
        TypeError,
        "answers must be callable with a batch, got Teacher. Try CachedAnswers(teacher, dataset).",
    ):
        Distillation(Teacher(network()))
    with says(ValueError, "temperature must be a finite number above 0, got 0.0."):
        Distillation(given, temperature=0)
    with says(ValueError, "alpha must be a fraction in [0, 1], got -0.1."):
        Distillation(given, alpha=-0.1)
    with says(
        ValueError,
        "kind must be one of 'kl', 'mse', 'dkd' or 'dist', got 'KLD'. Did you mean 'kl'?",
    ):
        Distillation(given, kind="KLD")
    for name in ("target_weight", "other_weight", "inter_weight", "intra_weight"):
        with says(ValueError, f"{name} must be a finite number of at least 0, got -1.0."):
            Distillation(given, **{name: -1})
    with says(ValueError, "amount must be a fraction in [0, 1], got 2.0. Did you mean 0.02?"):
        LabelSmoothing(2.0)
    with says(ValueError, "factor must be a finite number above 0, got 0.0."):
        Scaled(cross_entropy, 0)
    with says(TypeError, "loss must be a function (outputs, batch) -> scalar, got 'ce'."):
        Scaled("ce", 1.0)

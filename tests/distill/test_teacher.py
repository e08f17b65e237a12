import copy
import gc
import re

import pytest
import torch
from torch import nn

from lwlab.distill.answers import CachedAnswers, LiveAnswers
from lwlab.distill.objectives import Distillation
from lwlab.distill.softening import soften
from lwlab.distill.teacher import Teacher
from lwlab.train import fit


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_its_logits_are_those_of_the_model_in_evaluation_mode(small, network):
    model = network(moody=True)
    answers = Teacher(model.train()).logits(small.train.inputs)
    expected = model.eval()(small.train.inputs).detach()
    torch.testing.assert_close(answers, expected)
    assert not answers.requires_grad
    assert not answers.is_inference()


# What is often written instead of a Teacher: the model itself, asked inside the loss.


def in_training_mode(model):
    model.train()
    return lambda batch: model(batch.inputs).detach()


def in_training_mode_without_gradients(model):
    model.train()

    @torch.no_grad()
    def answers(batch):
        return model(batch.inputs)

    return answers


def ours(model):
    return LiveAnswers(Teacher(model))


def stays_bit_for_bit(make_answers, model, student, dataset):
    """Train ``student``; return whether nothing of ``model`` and of what answers has changed."""
    answers = make_answers(model)
    before = state(model)
    held = [state(copied) for copied in getattr(answers, "teacher", Teacher(model)).models]
    list(fit(student, dataset, epochs=2, batch_size=16, loss=Distillation(answers)))
    after = getattr(answers, "teacher", None)
    kept = after is None or all(map(same, held, map(state, after.models)))
    return same(before, state(model)) and kept


def answers_the_same_twice(make_answers, model, batch):
    answers = make_answers(model)
    return torch.equal(answers(batch), answers(batch))


@pytest.fixture
def batch(small):
    caught = []

    def loss(outputs, batch):
        caught.append(batch)
        return outputs.square().mean()

    list(fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), small, epochs=1, loss=loss))
    return caught[0]


def test_nothing_of_the_teacher_changes_while_a_student_trains_not_even_batchnorms_statistics(
    small, network, batch
):
    assert stays_bit_for_bit(ours, network(moody=True), network(1), small)
    assert answers_the_same_twice(ours, network(moody=True), batch)
    for wrong in (in_training_mode, in_training_mode_without_gradients):
        assert not stays_bit_for_bit(wrong, network(moody=True), network(1), small)
        assert not answers_the_same_twice(wrong, network(moody=True), batch)


class Holder(nn.Module):
    """A student that keeps its teacher, as a lab or a user may."""

    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher

    def forward(self, inputs):
        return self.student(inputs)


def is_no_part_of_its_student(teacher, student):
    mine = {id(p) for p in student.parameters()}
    return {id(p) for p in Holder(student, teacher).parameters()} == mine


def test_a_teacher_is_never_among_the_parameters_of_its_student(network):
    model, student = network(), network(1)
    assert is_no_part_of_its_student(Teacher(model), student)
    assert not is_no_part_of_its_student(model, student)
    assert not any(p.requires_grad for copied in Teacher(model).models for p in copied.parameters())


def test_no_module_of_it_is_in_training_mode_whenever_it_is_asked(small, network):
    modes = []
    model = network(moody=True)
    model[1].register_forward_pre_hook(lambda module, _: modes.append(module.training))
    teacher = Teacher(model.train())
    teacher.models[0].train()  # also if somebody switches it
    teacher.logits(small.train.inputs)
    list(fit(network(1), small, epochs=1, loss=Distillation(LiveAnswers(teacher))))
    assert set(modes) == {False}


def test_the_model_is_copied_and_keeps_its_own_flags_and_gradients(small, network):
    model = network(moody=True).train()
    model[0].eval()
    teacher = Teacher(model)
    assert [module.training for module in model] == [False, True, True, True, True, True]
    assert all(p.requires_grad for p in model.parameters())
    before = teacher.logits(small.train.inputs)
    list(fit(model, small, epochs=1))
    assert torch.equal(teacher.logits(small.train.inputs), before)


def test_answers_are_computed_once_for_a_split_and_dropped_with_it(small, network):
    calls = []
    model = network()
    model.conv1.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    teacher = Teacher(model, batch_size=30)
    first = teacher.answers(small.train)
    assert sum(calls) == len(small.train)
    assert max(calls) <= 30
    assert teacher.answers(small.train) is first
    assert sum(calls) == len(small.train)
    torch.testing.assert_close(first, model(small.train.inputs).detach())
    teacher.answers(small.train.take(5))
    gc.collect()
    assert len(teacher._answers) == 1


def test_an_ensemble_is_the_geometric_mean_of_its_members_at_every_temperature(small, network):
    members = [network(seed) for seed in range(3)]
    answers = Teacher(members).logits(small.train.inputs)
    for temperature in (1.0, 5.0):
        each = torch.stack([soften(m(small.train.inputs), temperature) for m in members])
        product = each.log().mean(0).exp()
        expected = product / product.sum(1, keepdim=True)
        torch.testing.assert_close(soften(answers, temperature), expected.detach())


def test_an_ensemble_with_a_temperature_is_the_arithmetic_mean_at_this_temperature(small, network):
    members = [network(seed) for seed in range(3)]
    answers = Teacher(members, temperature=2.0).logits(small.train.inputs)
    each = torch.stack([soften(m(small.train.inputs), 2.0) for m in members])
    torch.testing.assert_close(soften(answers, 2.0), each.mean(0).detach())
    # The worked case: (0.8, 0.2) and (0.4, 0.6) give (0.6, 0.4).
    sure, unsure = (nn.Linear(1, 2) for _ in range(2))
    for layer, value in ((sure, [0.8, 0.2]), (unsure, [0.4, 0.6])):
        layer.weight.data.zero_()
        layer.bias.data = torch.tensor(value).log()
    both = Teacher([sure, unsure], temperature=1.0)
    assert soften(both.logits(torch.zeros(1, 1))).tolist() == [pytest.approx([0.6, 0.4])]


def test_a_teacher_can_be_copied_and_says_what_it_is(small, network):
    teacher = Teacher([network(), network(1)])
    assert repr(teacher) == "Teacher(SimpleCNN, SimpleCNN)"
    again = copy.deepcopy(teacher)
    assert torch.equal(again.logits(small.train.inputs), teacher.logits(small.train.inputs))


def test_mistakes_get_one_sentence(small, network):
    with says(TypeError, "models must be a torch.nn.Module, got int."):
        Teacher(3)
    with says(TypeError, "models must be a torch.nn.Module, got the class Linear. "
              "Did you mean Linear()?"):  # fmt: skip
        Teacher(nn.Linear)
    with says(TypeError, "each of models must be a torch.nn.Module, got str."):
        Teacher([network(), "resnet"])
    with says(ValueError, "models must hold at least one network, got none."):
        Teacher([])
    with says(
        ValueError,
        "temperature must be left out for a teacher of one network, which has nothing to average, "
        "got 2.0.",
    ):
        Teacher(network(), temperature=2.0)
    with says(ValueError, "temperature must be a finite number above 0, got 0.0."):
        Teacher([network(), network(1)], temperature=0)
    with says(ValueError, "batch_size must be a whole number of at least 1, got 0."):
        Teacher(network(), batch_size=0)
    with says(TypeError, "split must be a Split, got Dataset. Try dataset.validation."):
        Teacher(network()).answers(small)
    two = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with says(ValueError, "models must all tell the same classes apart, got 2 and 3 of them."):
        Teacher([network(), two]).logits(small.train.inputs)


def test_a_teacher_that_says_nan_gets_one_sentence(small, network):
    broken = network()
    broken.fc2.bias.data[1] = float("nan")
    count = len(small.train)
    sentence = (
        f"the teacher's logits must be finite, got {count} NaN or infinite of {3 * count} values "
        f"(the first at index (0, 1))."
    )
    with says(ValueError, sentence):
        CachedAnswers(Teacher(broken), small)

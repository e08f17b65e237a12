import re

import pytest
import torch

from lwlab import measure
from lwlab.distill.answers import CachedAnswers
from lwlab.distill.generations import born_again, teach_chain, teacher_accuracy
from lwlab.distill.objectives import Distillation
from lwlab.distill.teacher import Teacher
from lwlab.distill.untrained import untrained
from lwlab.models import SimpleCNN
from lwlab.train import cross_entropy, fit
from lwlab.train.augmenting import Shift


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture
def thin():
    return lambda seed=0: SimpleCNN((1, 4, 4), 3, width=2, hidden=4, seed=seed)


def test_a_chain_is_one_distillation_after_the_other(network, thin, small):
    teacher, assistant, student = network(9), network(1), thin(2)
    settings = {"epochs": 2, "batch_size": 10}
    records = list(
        teach_chain(
            teacher, [assistant, student], small, temperature=3, alpha=0.7, seed=5, **settings
        )
    )
    assert [(r.generation, r.generations, r.generation_ends) for r in records] == [
        (1, 2, False),
        (1, 2, True),
        (2, 2, False),
        (2, 2, True),
    ]
    assert records[0].student is assistant
    assert records[-1].student is student
    by_hand, taught_by = [network(1), thin(2)], teacher
    for number, model in enumerate(by_hand, start=1):
        loss = Distillation(CachedAnswers(Teacher(taught_by), small), temperature=3, alpha=0.7)
        list(fit(model, small, loss=loss, seed=5000 + number, **settings))
        taught_by = model
    assert torch.equal(weights(by_hand[0]), weights(assistant))
    assert torch.equal(weights(by_hand[1]), weights(student))
    assert torch.equal(weights(teacher), weights(network(9)))


def test_with_augmentation_the_teacher_answers_live(network, thin, small):
    chain = teach_chain(network(9), [thin()], small, epochs=1, augment=Shift(1))
    assert len(list(chain)) == 1  # answers from a table are refused for augmented inputs


def test_generations_have_the_form_of_the_model_and_learn_from_each_other(network, small):
    model = network(9)
    before = weights(model)
    records = list(born_again(model, small, generations=2, seed=3, epochs=1, batch_size=10))
    first, second = (record.student for record in records)
    assert torch.equal(weights(model), before)
    by_hand = [untrained(model, 3001), untrained(model, 3002)]
    list(
        teach_chain(
            model, by_hand, small, temperature=1, alpha=0.5, seed=3, epochs=1, batch_size=10
        )
    )
    assert torch.equal(weights(first), weights(by_hand[0]))
    assert torch.equal(weights(second), weights(by_hand[1]))
    assert not torch.equal(weights(first), weights(second))


def test_nothing_is_trained_before_the_first_record(network, thin, small):
    student = thin()
    teach_chain(network(9), [student], small, epochs=1)
    assert torch.equal(weights(student), weights(thin()))


def test_the_accuracy_of_a_teacher_is_that_of_its_model_and_an_ensemble_votes(network, small):
    models = [network(seed) for seed in range(3)]
    for seed, model in enumerate(models):
        list(fit(model, small, epochs=1, seed=seed))
    single = teacher_accuracy(Teacher(models[0]), small.validation)
    assert single == measure.accuracy(models[0], small.validation)
    with torch.no_grad():
        mean = sum(model(small.test.inputs) for model in models) / 3
    right = int((mean.argmax(dim=1) == small.test.targets).sum())
    assert teacher_accuracy(Teacher(models), small.test) == measure.Accuracy(right, 15)


def test_bad_arguments_are_told_at_the_call(network, thin, small):
    teacher, student = network(9), thin()
    with says(TypeError, "students must be a list of networks, got SimpleCNN. Put it into [ ]."):
        teach_chain(teacher, student, small)
    with says(ValueError, "students must hold at least one network, got none."):
        teach_chain(teacher, [], small)
    with says(TypeError, "each of students must be a torch.nn.Module, got int."):
        teach_chain(teacher, [3], small)
    with says(
        ValueError,
        "students must all be different networks, got one of them twice. Each is trained in place.",
    ):
        teach_chain(teacher, [student, student], small)
    with says(ValueError, "alpha must be a fraction in [0, 1], got 1.5."):
        teach_chain(teacher, [student], small, alpha=1.5)
    with says(ValueError, "epochs must be a whole number of at least 1, got 0."):
        teach_chain(teacher, [student], small, epochs=0)
    with says(ValueError, "seed must be a whole number of at least 0, got -1."):
        teach_chain(teacher, [student], small, seed=-1)
    with pytest.raises(TypeError, match="multiple values for keyword argument 'loss'"):
        teach_chain(teacher, [student], small, loss=cross_entropy)
    with says(ValueError, "generations must be a whole number of at least 1, got 0."):
        born_again(teacher, small, generations=0)
    with says(TypeError, "model must be a torch.nn.Module, got int."):
        born_again(3, small)
    with says(TypeError, "teacher must be a distill.Teacher, got SimpleCNN. Try Teacher(model)."):
        teacher_accuracy(teacher, small.test)

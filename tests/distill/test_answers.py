import re

import pytest
import torch
from torch import nn

from lwlab.distill.answers import CachedAnswers, LiveAnswers, ShuffledAnswers
from lwlab.distill.teacher import Teacher
from lwlab.measure.layout import channels_last
from lwlab.train.augmenting import Shift
from lwlab.train.loop import fit
from lwlab.train.records import Batch


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def batch_of(dataset, positions, **changes):
    places = torch.tensor(positions)
    split = dataset.train
    parts = {"inputs": split.inputs[places], "targets": split.targets[places], "indices": places}
    return Batch(**(parts | changes))


def test_cached_answers_are_looked_up_by_position(small, network):
    teacher = Teacher(network())
    answers = CachedAnswers(teacher, small)
    batch = batch_of(small, [7, 0, 7])
    expected = teacher.logits(batch.inputs)
    torch.testing.assert_close(answers(batch), expected)
    assert torch.equal(answers(batch), answers.logits[[7, 0, 7]])


def test_cached_and_live_answers_agree_in_every_batch_of_a_training(small, network):
    teacher = Teacher(network(moody=True))
    cached, live = CachedAnswers(teacher, small), LiveAnswers(teacher)
    seen = []

    def loss(outputs, batch):
        torch.testing.assert_close(cached(batch), live(batch))
        seen.append(batch.indices)
        return outputs.square().mean()

    list(fit(network(1), small, epochs=2, batch_size=10, loss=loss))
    assert len(torch.cat(seen)) == 2 * len(small.train)


def test_live_answers_are_to_the_augmented_inputs_that_the_student_sees(small, network):
    model, teacher = network(1), Teacher(network())
    seen = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def loss(outputs, batch):
        assert batch.augmented
        assert torch.equal(batch.inputs, seen[-1])
        torch.testing.assert_close(LiveAnswers(teacher)(batch), teacher.logits(seen[-1]))
        assert not torch.equal(batch.inputs, small.train.inputs[batch.indices])
        return outputs.square().mean()

    list(fit(model, small, epochs=1, batch_size=20, loss=loss, augment=Shift(1)))
    assert seen


def test_cached_answers_refuse_inputs_that_the_teacher_never_saw(small, network):
    answers = CachedAnswers(Teacher(network()), small)
    with says(
        ValueError,
        "batch must hold the inputs that the teacher answered, got augmented ones. "
        "Try LiveAnswers(teacher), which answers what the student sees.",
    ):
        answers(batch_of(small, [3, 4], augmented=True))
    for other in (
        batch_of(small, [3, 4], indices=torch.tensor([4, 3])),
        batch_of(small, [3, 4], indices=torch.tensor([4000, 3])),
    ):
        with says(
            ValueError,
            f"batch must come from the data set that the teacher answered, got other inputs at "
            f"position {int(other.indices[0])}. Make CachedAnswers with the data set given to fit.",
        ):
            answers(other)


@pytest.mark.parametrize("seed", [0, 1, 5, 10**9])
def test_shuffled_answers_are_the_same_ones_each_in_anothers_place(small, network, seed):
    answers = CachedAnswers(Teacher(network()), small)
    batch = batch_of(small, list(range(10)))
    right, wrong = answers(batch), ShuffledAnswers(answers, seed)(batch)
    assert sorted(map(tuple, right.tolist())) == sorted(map(tuple, wrong.tolist()))
    assert not (right == wrong).all(dim=1).any()
    assert torch.equal(wrong, ShuffledAnswers(answers, seed)(batch))


def test_the_seed_of_a_shuffle_decides_whose_answer_it_is(small, network):
    answers = CachedAnswers(Teacher(network()), small)
    batch = batch_of(small, [0, 1, 2])
    assert torch.equal(ShuffledAnswers(answers, 0)(batch), answers.logits[[2, 0, 1]])
    assert torch.equal(ShuffledAnswers(answers, 1)(batch), answers.logits[[1, 2, 0]])
    assert torch.equal(ShuffledAnswers(answers, 2)(batch), answers.logits[[2, 0, 1]])


def test_mistakes_get_one_sentence(small, network):
    sentence = "teacher must be a distill.Teacher, got SimpleCNN. Try Teacher(model)."
    with says(TypeError, sentence):
        CachedAnswers(network(), small)
    with says(TypeError, sentence):
        LiveAnswers(network())
    with says(TypeError, "dataset must be an lwlab.data.Dataset, got Split. Try data.from_arrays."):
        CachedAnswers(Teacher(network()), small.train)
    answers = LiveAnswers(Teacher(network()))
    with says(ValueError, "seed must be a whole number of at least 0, got -1."):
        ShuffledAnswers(answers, -1)
    with says(ValueError, "batch must hold at least 2 examples to be shuffled, got 1."):
        ShuffledAnswers(answers)(batch_of(small, [0]))


def test_live_answers_come_from_a_teacher_that_cannot_read_channels_last():
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(256, 10)

        def forward(self, x):
            return self.linear(self.conv(x).view(len(x), -1))

    inputs = channels_last(torch.rand(5, 1, 8, 8))
    teacher = Teacher(Viewing())
    assert teacher.logits(inputs).shape == (5, 10)

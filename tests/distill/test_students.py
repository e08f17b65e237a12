import re

import pytest
import torch

from lwlab import measure
from lwlab.data.subsets import few_labels
from lwlab.distill.arm import Arm
from lwlab.distill.arms import alone, distilled, label_smoothing, standard_arms
from lwlab.distill.student_table import StudentRow, summarize_students
from lwlab.distill.students import train_students
from lwlab.train import cross_entropy, fit


@pytest.fixture
def arms(network):
    return {"alone": alone(network), "distilled": distilled(network, network(9))}


def test_a_row_is_what_training_and_scoring_by_hand_gives(arms, network, small):
    rows = list(train_students(arms, small, seeds=[3, 1], epochs=2, batch_size=10))
    assert [(row.arm, row.seed) for row in rows] == [
        ("alone", 3),
        ("distilled", 3),
        ("alone", 1),
        ("distilled", 1),
    ]
    student = network(1)
    list(fit(student, small, epochs=2, batch_size=10, seed=1))
    assert rows[2] == StudentRow("alone", 1, measure.accuracy(student, small.validation).value)


def test_another_split_can_be_asked_for(network, small):
    arms = {"alone": alone(network)}
    [row] = train_students(arms, small, seeds=[0], epochs=3, split=small.test)
    student = network(0)
    list(fit(student, small, epochs=3, seed=0))
    assert row.accuracy == measure.accuracy(student, small.test).value


def test_what_is_done_is_not_trained_again(network, small):
    trained = []

    def watching(name):
        def make_loss(start):
            trained.append((name, start.seed))
            return cross_entropy

        return make_loss

    arms = {name: Arm(network, make_loss=watching(name)) for name in ("a", "b")}
    whole = list(train_students(arms, small, seeds=range(2), epochs=1))
    assert trained == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    trained.clear()
    rest = list(train_students(arms, small, seeds=range(2), epochs=1, done=iter(whole[:3])))
    assert rest == whole[3:]
    assert trained == [("b", 1)]
    assert list(train_students(arms, small, seeds=range(2), epochs=1, done=whole)) == []


def test_a_stop_between_rows_trains_no_further(network, small):
    trained = []

    def make_loss(start):
        trained.append(start.seed)
        return cross_entropy

    for _ in train_students(
        {"a": Arm(network, make_loss=make_loss)}, small, seeds=range(9), epochs=1
    ):
        break
    assert trained == [0]


def test_the_same_loss_in_two_arms_gives_the_same_student(network, small):
    arms = {"one": alone(network), "other": label_smoothing(network, amount=0.0)}
    rows = list(train_students(arms, small, seeds=range(2), epochs=2))
    table = summarize_students(rows, against="one")
    assert table["other"].difference.mean == 0
    assert not table["other"].difference.differs


def test_answers_alone_teach_and_shuffled_or_random_ones_do_not(network, small):
    teacher = network(9)
    list(fit(teacher, small, epochs=30, learning_rate=0.01))
    assert measure.accuracy(teacher, small.validation).value > 0.9
    arms = standard_arms(network, teacher, learning_rate=0.01, alpha=1.0)
    arms = {name: arms[name] for name in ("random teacher", "shuffled", "distilled")}
    rows = list(train_students(arms, small, seeds=range(3), epochs=10, batch_size=10))
    table = summarize_students(rows, against=["random teacher", "shuffled"])
    assert table["distilled"].accuracy > 0.9
    assert table["distilled"].difference.mean > 0.3


def test_few_labels_are_drawn_for_each_seed(network, small):
    labels = []

    def make_loss(start):
        labels.append((start.seed, start.dataset.train.targets.tolist()))
        return cross_entropy

    arm = Arm(network, make_loss=make_loss, change_dataset=lambda d, seed: few_labels(d, 2, seed))
    list(train_students({"a": arm}, small, seeds=[0, 1], epochs=1))
    assert labels == [(seed, few_labels(small, 2, seed).train.targets.tolist()) for seed in (0, 1)]


def test_a_training_leaves_teacher_and_stream_alone(network, small):
    teacher = network(9, moody=True)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    torch.manual_seed(1)
    stream = torch.get_rng_state()
    list(train_students({"a": distilled(network, teacher)}, small, seeds=[0], epochs=1))
    assert torch.equal(stream, torch.get_rng_state())
    after = teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert teacher.training


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"seeds": []}, ValueError, "seeds must hold at least one seed, got none."),
        (
            {"seeds": 5},
            TypeError,
            "seeds must be a list of whole numbers, got 5. Try range(5).",
        ),
        ({"seeds": [1, 2, 1]}, ValueError, "seeds must all be different, got 1 more than once."),
        ({"seeds": [-1]}, ValueError, "seeds must be a whole number of at least 0, got -1."),
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, got 0."),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1, got 0."),
        (
            {"split": "test"},
            TypeError,
            "split must be a Split, got str. Try dataset.validation.",
        ),
        ({"arms": {}}, ValueError, "arms must hold at least one arm, got none."),
    ],
)
def test_bad_arguments_are_told_at_the_call(arms, small, settings, error, sentence):
    whole = {"arms": arms, "seeds": [0], "epochs": 1} | settings
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        train_students(whole.pop("arms"), small, **whole)

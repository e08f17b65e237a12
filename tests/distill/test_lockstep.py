import gc
import re

import pytest
import torch

from lwlab.distill.arm import Arm
from lwlab.distill.arms import alone, distilled, label_smoothing, standard_arms
from lwlab.distill.features import Attention, FeatureDistillation
from lwlab.distill.lockstep import train_side_by_side
from lwlab.models import SimpleCNN
from lwlab.train import TrainingDivergedError, cross_entropy, fit


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def without_time(record):
    return {name: value for name, value in vars(record).items() if name != "seconds"}


@pytest.fixture
def arms(network):
    return standard_arms(network, network(9), learning_rate=0.01)


def test_arms_begin_with_the_same_weights_and_see_the_same_batches(network, small):
    seen = {"one": [], "other": []}

    def watching(name):
        def loss(outputs, batch):
            seen[name].append(batch.indices.tolist())
            return cross_entropy(outputs, batch)

        return lambda start: loss

    arms = {name: Arm(network, make_loss=watching(name)) for name in seen}
    together = train_side_by_side(arms, small, seed=2, epochs=2, batch_size=10)
    one, other = together.students.values()
    assert one is not other
    assert torch.equal(weights(one), weights(network(2)))
    assert torch.equal(weights(other), weights(network(2)))
    list(together)
    assert seen["one"] == seen["other"]
    assert len(seen["one"]) == 2 * -(-len(small.train) // 10)


def test_each_arm_is_trained_as_it_would_be_alone_to_the_bit(arms, small):
    together = train_side_by_side(arms, small, seed=1, epochs=2, steps_per_record=2, batch_size=10)
    rounds = list(together)
    for name, arm in arms.items():
        [*records] = train_side_by_side(
            {name: arm}, small, seed=1, epochs=2, steps_per_record=2, batch_size=10
        )
        assert [without_time(r[name]) for r in records] == [without_time(r[name]) for r in rounds]
    loss = cross_entropy
    student = arms["alone"].student(1)
    for _ in fit(student, small, epochs=2, batch_size=10, learning_rate=0.01, seed=1, loss=loss):
        pass
    assert torch.equal(weights(student), weights(together.students["alone"]))
    assert not torch.equal(weights(student), weights(together.students["distilled"]))


def test_all_arms_are_at_the_same_step(arms, small):
    together = train_side_by_side(arms, small, seed=0, epochs=1, steps_per_record=3, batch_size=10)
    steps = [{record.step for record in records.values()} for records in together]
    assert all(len(found) == 1 for found in steps)
    assert [found.pop() for found in steps[:2]] == [3, 6]


def test_nothing_is_trained_before_the_first_record_and_none_after_the_end(arms, small):
    together = train_side_by_side(arms, small, seed=0, epochs=1, steps_per_record=1, batch_size=10)
    before = {name: weights(student) for name, student in together.students.items()}
    assert all(torch.equal(w, before["alone"]) for w in before.values())
    next(together)
    moved = {name: weights(student) for name, student in together.students.items()}
    assert not any(torch.equal(moved[name], before[name]) for name in arms)
    together.close()
    assert next(together, None) is None
    kept = {name: weights(student) for name, student in together.students.items()}
    assert all(torch.equal(kept[name], moved[name]) for name in arms)


def test_a_shorter_training_leaves_the_dictionaries_when_it_ends(network, small):
    arms = {"short": alone(network, epochs=1), "long": alone(network)}
    rounds = list(train_side_by_side(arms, small, seed=0, epochs=3))
    assert [list(records) for records in rounds] == [["short", "long"], ["long"], ["long"]]


@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_stop_leaves_no_hook_behind(network, small, how):
    def look_inside(start):
        return FeatureDistillation(
            start.student, network(9), small, [("conv1", "conv1")], match=Attention()
        )

    arms = {"features": Arm(network, make_loss=look_inside), "alone": alone(network)}
    together = train_side_by_side(arms, small, seed=0, epochs=1, steps_per_record=1, batch_size=10)
    student = together.students["features"]
    next(together)
    assert len(student.conv1._forward_hooks) == 1
    if how == "close":
        together.close()
    del together
    gc.collect()
    assert len(student.conv1._forward_hooks) == 0


def test_arms_of_one_change_share_its_data_set(network, small):
    changes, datasets = [], []

    def change(dataset, seed):
        changes.append(seed)
        return small

    def remember(start):
        datasets.append(start.dataset)
        return cross_entropy

    changed = {"change_dataset": change, "make_loss": remember}
    arms = {"a": Arm(network, **changed), "b": Arm(network, **changed)}
    list(train_side_by_side(arms, small, seed=4, epochs=1))
    assert changes == [4]
    assert datasets == [small, small]


def test_the_settings_of_an_arm_reach_fit(network, small):
    def brighter(inputs, generator):
        return inputs + 1

    def descent(parameters, learning_rate):
        return torch.optim.SGD(parameters, lr=learning_rate)

    student = network(0)
    settings = {"learning_rate": 0.03, "augment": brighter, "schedule": lambda progress: 0.5}
    settings["optimizer"] = descent
    together = train_side_by_side(
        {"a": label_smoothing(network, **settings)}, small, seed=0, epochs=1
    )
    list(together)
    with label_smoothing(network).loss(None) as loss:
        list(fit(student, small, epochs=1, loss=loss, **settings))
    assert torch.equal(weights(student), weights(together.students["a"]))


def test_a_diverging_arm_is_named(network, small):
    arms = {"alone": alone(network), "wild": alone(network, learning_rate=1e30)}
    with pytest.raises(TrainingDivergedError, match=r"^arm 'wild', seed 0: the loss became"):
        list(train_side_by_side(arms, small, seed=0, epochs=5, batch_size=10))


def test_the_callers_random_stream_is_left_alone(arms, small):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    next(train_side_by_side(arms, small, seed=0, epochs=1, steps_per_record=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        (
            {"arms": [3]},
            TypeError,
            ("arms must be a dictionary of arms by name, got list. Try {'alone': alone(student)}."),
        ),
        ({"arms": {}}, ValueError, "arms must hold at least one arm, got none."),
        (
            {"arms": {"alone": cross_entropy}},
            TypeError,
            "arms must hold a distill.Arm under each name, got function under 'alone'.",
        ),
        (
            {"dataset": 3},
            TypeError,
            "dataset must be an lwlab.data.Dataset, got int. Try data.from_arrays.",
        ),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0, got -1."),
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, got 0."),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1, got 0."),
        (
            {"steps_per_record": 0},
            ValueError,
            "steps_per_record must be a whole number of at least 1, got 0.",
        ),
    ],
)
def test_bad_arguments_are_told_at_the_call(arms, small, settings, error, sentence):
    whole = {"arms": arms, "dataset": small, "seed": 0, "epochs": 1} | settings
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        train_side_by_side(whole.pop("arms"), whole.pop("dataset"), **whole)


def test_students_of_other_widths_can_be_side_by_side(network, small):
    arms = {
        "narrow": distilled(
            lambda seed: SimpleCNN((1, 4, 4), 3, width=2, hidden=4, seed=seed), network(9)
        ),
        "wide": distilled(network, network(9)),
    }
    together = train_side_by_side(arms, small, seed=0, epochs=1)
    list(together)
    assert together.students["narrow"].width == 2

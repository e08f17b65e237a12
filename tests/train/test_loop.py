import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab import data
from lwlab.measure import accuracy
from lwlab.models import SimpleCNN, seeded
from lwlab.train import TrainingDivergedError, cosine, cross_entropy, fit


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def tiny(seed=0, count=40, features=3):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, features, generator=generator)
    targets = torch.arange(count) % 2
    inputs[:, 0] += 4 * targets
    return data.from_arrays(inputs, targets, validation_fraction=0.2, test_fraction=0.2)


def linear(seed=0):
    with seeded(seed):
        return nn.Linear(3, 2)


def weights(model):
    return [tensor.clone() for tensor in model.state_dict().values()]


def test_one_record_an_epoch_with_the_accuracy_of_the_whole_validation_split(digits):
    model = SimpleCNN(width=4, hidden=16)
    records = list(fit(model, digits, epochs=3, batch_size=100))
    assert [r.epoch for r in records] == [1, 2, 3]
    assert [r.step for r in records] == [10, 20, 30]
    assert {r.total_steps for r in records} == {30}
    assert records[-1].validation_accuracy == accuracy(model, digits.validation).value


def test_a_simple_cnn_learns_digits(digits):
    model = SimpleCNN()
    *_, last = fit(model, digits, epochs=10)
    assert last.validation_accuracy > 0.95
    assert last.training_accuracy > 0.97


def test_steps_between_records_and_the_epochs_end():
    records = list(fit(linear(), tiny(), epochs=2, batch_size=5, steps_per_record=2))
    # 24 training examples: steps of 5, 5, 5, 5, 4; a record after 2, 4 and 5 of them
    assert [r.step for r in records] == [2, 4, 5, 7, 9, 10]
    scored = [r.validation_accuracy is not None for r in records]
    assert scored == [False, False, True] * 2


def test_two_steps_equal_a_loop_written_by_hand_to_the_bit():
    dataset, by_hand = tiny(), linear()
    ours = copy.deepcopy(by_hand)
    list(fit(ours, dataset, epochs=2, batch_size=100, learning_rate=0.1, seed=5))

    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.1, fused=True)
    shuffler = torch.Generator().manual_seed(5)
    for _ in range(2):
        order = torch.randperm(len(dataset.train), generator=shuffler)
        loss = F.cross_entropy(by_hand(dataset.train.inputs[order]), dataset.train.targets[order])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for a, b in zip(weights(ours), weights(by_hand), strict=True):
        assert torch.equal(a, b)


def with_dropout(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.5), nn.Linear(16, 2))


def test_the_same_seed_gives_the_same_weights_whatever_the_callers_stream_does():
    first, second, other = with_dropout(), with_dropout(), with_dropout()
    torch.manual_seed(1)
    list(fit(first, tiny(), epochs=2, batch_size=8, seed=3))
    torch.manual_seed(2)
    for _ in fit(second, tiny(), epochs=2, batch_size=8, seed=3, steps_per_record=1):
        torch.rand(5)
    list(fit(other, tiny(), epochs=2, batch_size=8, seed=4))
    for a, b in zip(weights(first), weights(second), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(weights(first)[0], weights(other)[0])


def test_the_callers_random_stream_is_left_alone():
    torch.manual_seed(9)
    expected = torch.rand(4)
    torch.manual_seed(9)
    drawn = [torch.rand(1) for _ in fit(with_dropout(), tiny(), epochs=4, seed=3)]
    assert torch.equal(torch.cat(drawn), expected)


def test_break_stops_and_the_model_keeps_what_it_learned():
    model = linear()
    before = weights(model)
    for record in fit(model, tiny(), epochs=100, batch_size=5, steps_per_record=1):
        if record.step == 3:
            break
    after = weights(model)
    assert record.step == 3
    assert not torch.equal(before[0], after[0])


def test_training_flags_are_those_the_model_came_with_at_every_record():
    model = with_dropout().eval()
    model[0].train()
    for _ in fit(model, tiny(), epochs=2):
        assert [module.training for module in model] == [True, False, False]
    assert [module.training for module in model] == [True, False, False]


def test_the_loss_sees_the_batch_and_where_it_comes_from():
    dataset, seen = tiny(), []

    def loss(outputs, batch):
        assert torch.equal(batch.inputs, dataset.train.inputs[batch.indices])
        assert torch.equal(batch.targets, dataset.train.targets[batch.indices])
        seen.append(batch.indices)
        return cross_entropy(outputs, batch)

    list(fit(linear(), dataset, epochs=1, batch_size=7, loss=loss))
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(len(dataset.train)))


def test_the_penalty_is_added_to_the_loss():
    plain, *_ = fit(linear(), tiny(), epochs=1, batch_size=100)
    penalized, *_ = fit(linear(), tiny(), epochs=1, batch_size=100, penalty=lambda model: 5.0)
    assert penalized.loss == pytest.approx(plain.loss + 5, abs=1e-5)


def test_frozen_parameters_do_not_move():
    model = with_dropout()
    model[0].requires_grad_(False)
    before = weights(model)
    list(fit(model, tiny(), epochs=1))
    after = weights(model)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[2], after[2])


def test_the_schedule_scales_the_learning_rate():
    rates = []

    def sgd(parameters, learning_rate):
        optimizer = torch.optim.SGD(parameters, lr=learning_rate)
        optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
        return optimizer

    list(fit(linear(), tiny(), epochs=4, batch_size=100, learning_rate=2.0, schedule=cosine,
             optimizer=sgd))  # fmt: skip
    # progress 0, 1/4, 1/2, 3/4 of half a cosine
    assert rates == pytest.approx([2.0, 1 + 0.5**0.5, 1.0, 1 - 0.5**0.5])


def test_a_single_left_over_example_joins_the_batch_before_it_so_batchnorm_can_run():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    records = list(fit(model, tiny(), epochs=1, batch_size=23, steps_per_record=1))  # 24 examples
    assert [r.step for r in records] == [1]


def test_a_diverging_loss_stops_with_the_last_finite_weights():
    model = linear()

    def loss(outputs, batch):
        del batch
        return outputs.sum() * float("nan") if len(seen) == 2 else outputs.square().mean()

    seen = []
    sentence = (
        "the loss became nan at step 3, with learning rate 0.1. Try a learning rate 10 times "
        "smaller, and check that the inputs are scaled to about [0, 1]."
    )
    with says(TrainingDivergedError, sentence):
        for record in fit(model, tiny(), epochs=9, batch_size=100, learning_rate=0.1, loss=loss):
            seen.append(record)
    assert all(torch.isfinite(tensor).all() for tensor in weights(model))
    assert model.training


def test_mistakes_are_told_at_the_call_before_anything_is_trained():
    model, dataset = linear(), tiny()
    with says(ValueError, "epochs must be a whole number of at least 1, got 0."):
        fit(model, dataset, epochs=0)
    with says(ValueError, "learning_rate must be a finite number above 0, got -1.0."):
        fit(model, dataset, learning_rate=-1)
    with says(ValueError, "batch_size must be a whole number of at least 1, got 2.5."):
        fit(model, dataset, batch_size=2.5)
    with says(ValueError, "steps_per_record must be a whole number of at least 1, got 0."):
        fit(model, dataset, steps_per_record=0)
    with says(
        ValueError,
        "model must have at least one parameter with requires_grad=True, got none. "
        "Unfreeze a layer with layer.requires_grad_(True).",
    ):
        fit(linear().requires_grad_(False), dataset)
    with says(TypeError, "dataset must be an lwlab.data.Dataset, got list. Try data.from_arrays."):
        fit(model, [1, 2])


class Viewer(nn.Module):
    """A user's network that flattens with ``view``, which refuses channels-last memory."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(128, 10)
        self.strides = set()

    def forward(self, images):
        self.strides.add(images.stride()[1])
        return self.head(self.conv(images).view(len(images), -1))


def test_images_are_trained_with_their_channels_last_and_a_model_that_cannot_gets_them_plain(
    digits,
):
    seen = set()
    model = SimpleCNN(width=2, hidden=4)
    model.register_forward_pre_hook(
        lambda _, inputs: seen.add((len(inputs[0]), inputs[0].stride(1)))
    )
    list(fit(model, digits, epochs=1, batch_size=100))
    assert (100, 1) in seen  # stride 1 from channel to channel
    viewer = Viewer()
    *_, last = fit(viewer, digits, epochs=5)
    assert last.validation_accuracy > 0.6
    assert 64 in viewer.strides

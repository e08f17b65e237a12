import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from torch import nn

from lwlab.data import Split
from lwlab.measure import Accuracy, accuracy, accuracy_in_parts, accuracy_of, predictions
from lwlab.models import LeNet300, ResNet8, SimpleCNN


def test_nine_of_ten_by_hand():
    # z^2 = 3.841459: center (0.9 + 0.1920729) / 1.3841459 = 0.7889870,
    # half width 1.959964 * sqrt(0.009 + 0.00960365) / 1.3841459 = 0.1931369.
    found = Accuracy(9, 10)
    assert found.value == 0.9
    assert found.low == pytest.approx(0.5958501, abs=1e-6)
    assert found.high == pytest.approx(0.9821239, abs=1e-6)


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons_and_holds_the_value(counts):
    found = Accuracy(*counts)
    reference = binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert found.low == pytest.approx(reference.low, abs=1e-12)
    assert found.high == pytest.approx(reference.high, abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_none_and_all_right_still_have_an_interval():
    none, all_ = Accuracy(0, 20), Accuracy(20, 20)
    assert (none.low, all_.high) == (0, 1)
    assert none.high == pytest.approx(3.841459 / 23.841459, abs=1e-6)  # z^2 / (n + z^2)
    assert all_.low == pytest.approx(1 - none.high, abs=1e-12)


def test_ten_times_the_examples_make_a_narrower_interval():
    few, many = Accuracy(45, 50), Accuracy(450, 500)
    assert many.high - many.low < (few.high - few.low) / math.sqrt(10) * 1.1


def test_it_prints_its_sample_size():
    assert str(Accuracy(2868, 3000)) == "95.6 % (94.8-96.3 %, 2,868 of 3,000)"


@pytest.mark.parametrize(
    ("correct", "total", "sentence"),
    [
        (0, 0, "total must be a whole number of at least 1, got 0."),
        (4, 3, "correct must be a whole number from 0 to 3, got 4."),
        (-1, 3, "correct must be a whole number from 0 to 3, got -1."),
    ],
)
def test_impossible_counts_are_refused(correct, total, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Accuracy(correct, total)


def test_accuracy_counts_right_answers(logits_split):
    assert accuracy(nn.Identity(), logits_split([0, 1, 2, 2, 1], [0, 1, 2, 0, 0])) == Accuracy(3, 5)


def test_nan_logits_count_as_wrong():
    split = Split(torch.tensor([[1.0, 0.0], [float("nan"), 0.0]]), torch.tensor([0, 0]))
    assert accuracy(nn.Identity(), split) == Accuracy(1, 2)


@pytest.mark.parametrize("kind", ["new", "masked", "spectral", "channels_last"])
def test_accuracy_is_that_of_the_plain_loop(kind, make_model, digits_like):
    model = make_model(kind)
    expected = accuracy_of(predictions(model, digits_like.inputs), digits_like.targets)
    assert accuracy(model, digits_like) == expected
    model.eval()
    with torch.no_grad():
        right = model(digits_like.inputs).argmax(1) == digits_like.targets
    assert expected == Accuracy(int(right.sum()), 300)


@pytest.mark.parametrize("kind", ["new", "new masked"])
@pytest.mark.parametrize("part_size", [1, 7, 100, 299, 300, 500])
def test_the_last_part_is_the_whole(kind, part_size, make_model, digits_like):
    model = make_model(kind)
    parts = list(accuracy_in_parts(model, digits_like, 90, part_size))
    assert parts[-1] == accuracy(model, digits_like)
    assert [part.total for part in parts] == [
        min(90 + part_size * i, 300) for i in range(1 + math.ceil(210 / part_size))
    ]
    grown = [part.correct for part in parts]
    assert grown == sorted(grown)


@pytest.mark.parametrize("make", [ResNet8, LeNet300])
def test_parts_of_other_networks_add_up_to_the_whole(make, digits_like):
    model = make((1, 8, 8))
    *_, last = accuracy_in_parts(model, digits_like, 50, batch_size=20)
    assert last == accuracy(model, digits_like)


def test_a_first_part_is_a_fair_sample_of_a_sorted_split(logits_split):
    answers = [0] * 500 + [1] * 500
    first = next(accuracy_in_parts(nn.Identity(), logits_split(answers, [0] * 1000), 200))
    assert first.low < 0.5 < first.high


def test_the_order_is_fixed_by_the_seed(logits_split):
    split = logits_split([0] * 30 + [1] * 30, [0] * 60)

    def run(**kwargs):
        return list(accuracy_in_parts(nn.Identity(), split, 5, **kwargs))

    assert run() == run(seed=0)
    assert run() != run(seed=1)


def test_between_parts_the_model_is_as_it_came_and_the_generator_may_be_dropped(
    make_model, picture, digits_like
):
    model = make_model("float")
    before = picture(model)
    parts = accuracy_in_parts(model, digits_like, 100)
    assert picture(model) == before
    next(parts)
    assert picture(model) == before
    assert not torch.is_inference_mode_enabled()
    parts.close()
    assert picture(model) == before


EMPTY = Split(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("measurement", [accuracy, accuracy_in_parts])
@pytest.mark.parametrize(
    ("split", "error", "sentence"),
    [
        (EMPTY, ValueError, "split must hold at least one example, got an empty split."),
        (torch.eye(3), TypeError, "split must be a Split, got Tensor. Try dataset.validation."),
    ],
)
def test_what_holds_no_examples_is_refused_at_the_call(measurement, split, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        measurement(nn.Identity(), split)


@pytest.mark.parametrize("target", [3, -2])
@pytest.mark.parametrize(
    "measurement", [accuracy, lambda model, split: next(accuracy_in_parts(model, split))]
)
def test_a_target_that_the_model_has_no_output_for_is_named(measurement, target, logits_split):
    sentence = f"targets must be from 0 to 2 for 3 classes, got {target}."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        measurement(nn.Identity(), logits_split([0, 1], [0, target]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"first_part": 0}, "first_part must be a whole number of at least 1, got 0."),
        ({"part_size": 0}, "part_size must be a whole number of at least 1, got 0."),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, got 2.5."),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1."),
    ],
)
def test_settings_of_the_parts_are_checked_at_the_call(arguments, sentence, digits_like):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        accuracy_in_parts(SimpleCNN(), digits_like, **arguments)


def test_accuracy_of_answers_that_are_there():
    found = accuracy_of(torch.tensor([1, 2, -1, 0]), torch.tensor([1, 1, 0, 0]))
    assert found == Accuracy(2, 4)


SOME = "must be one class for each of at least 1 example, shape (N,)"
ONE = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("predicted", "targets", "error", "sentence"),
    [
        ([0], ONE, TypeError, "predicted must be class numbers (int64), got list."),
        (
            torch.zeros(1),
            ONE,
            TypeError,
            "predicted must be class numbers (int64), got torch.float32.",
        ),
        (
            ONE,
            torch.ones(1, dtype=torch.bool),
            TypeError,
            "targets must be class numbers (int64), got torch.bool.",
        ),
        (
            ONE[:0],
            ONE[:0],
            ValueError,
            f"predicted {SOME}, got shape (0,).",
        ),
        (
            ONE,
            ONE.expand(2),
            ValueError,
            "All answers must be of the same examples, got 1 predicted, 2 targets.",
        ),
    ],
)
def test_answers_that_cannot_be_compared_are_named(predicted, targets, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        accuracy_of(predicted, targets)

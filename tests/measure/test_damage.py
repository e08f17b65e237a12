import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix
from torch import nn

from lwlab.measure import (
    Accuracy,
    Flips,
    flipped,
    flips_of,
    per_class_accuracy,
    per_class_accuracy_of,
    predictions,
)
from lwlab.models import SimpleCNN


class Shifts(nn.Module):
    """Answers with the class after the one in its inputs."""

    def forward(self, inputs):
        return inputs.roll(1, dims=1)


def flips_with(broken, repaired):
    return Flips(torch.arange(broken), torch.arange(repaired))


def test_flips_by_hand():
    before, after = torch.tensor([0, 1, 2, 0, -1]), torch.tensor([0, 2, 1, 0, 2])
    found = flips_of(before, after, targets=torch.tensor([0, 1, 1, 2, 2]))
    assert found.broken.tolist() == [1]
    assert found.repaired.tolist() == [2, 4]
    assert str(found) == "1 broken, 2 repaired"


def test_flipped_runs_both_models(logits_split):
    # The first says 0, 1, 2; the second 1, 2, 0.
    found = flipped(nn.Identity(), Shifts(), logits_split([0, 1, 2], [0, 2, 1]))
    assert found.broken.tolist() == [0]
    assert found.repaired.tolist() == [1]


def test_a_model_has_no_flips_against_itself(digits_like):
    found = flipped(SimpleCNN(), SimpleCNN(), digits_like)
    assert len(found.broken) == len(found.repaired) == 0
    assert found.p_value == 1


def test_swapping_the_models_swaps_broken_and_repaired_and_explains_the_change(digits_like):
    one, two = SimpleCNN(seed=1), SimpleCNN(seed=2)
    there, back = flipped(one, two, digits_like), flipped(two, one, digits_like)
    assert torch.equal(there.broken, back.repaired)
    assert torch.equal(there.repaired, back.broken)
    right = [
        int((predictions(m, digits_like.inputs) == digits_like.targets).sum()) for m in (one, two)
    ]
    assert right[1] - right[0] == len(there.repaired) - len(there.broken)


def test_p_value_by_hand():
    # 6 throws, at most 1 head: (1 + 6) / 64, both sides.
    assert flips_with(5, 1).p_value == 14 / 64
    assert flips_with(0, 6).p_value == 2 / 64


@given(st.integers(0, 300), st.integers(0, 300))
def test_p_value_is_the_exact_test_of_mcnemar(broken, repaired):
    flips = flips_with(broken, repaired)
    throws = broken + repaired
    expected = binomtest(broken, throws).pvalue if throws else 1
    assert flips.p_value == pytest.approx(expected, rel=1e-9)
    assert flips.p_value == flips_with(repaired, broken).p_value


def test_p_value_of_thousands_of_flips_is_still_a_number():
    assert flips_with(5000, 5000).p_value == 1
    assert 0 <= flips_with(9000, 100).p_value < 1e-300


def test_accuracy_of_each_class_by_hand(logits_split):
    split = logits_split([0, 1, 1, 0, 3], [0, 0, 1, 1, 3], num_classes=4)
    expected = [Accuracy(1, 2), Accuracy(1, 2), None, Accuracy(1, 1)]
    assert per_class_accuracy(nn.Identity(), split) == expected


def test_classes_beyond_the_models_may_be_asked_for(logits_split):
    split = logits_split([0, 1], [0, 0])
    assert per_class_accuracy(nn.Identity(), split, num_classes=1) == [Accuracy(1, 2)]
    assert per_class_accuracy(nn.Identity(), split, num_classes=5) == [Accuracy(1, 2)] + [None] * 4


def test_classes_add_up_to_the_diagonal_of_the_confusion_matrix(digits_like):
    model = SimpleCNN()
    predicted = predictions(model, digits_like.inputs)
    matrix = confusion_matrix(digits_like.targets, predicted, labels=range(10))
    found = per_class_accuracy(model, digits_like)
    assert [(a.correct, a.total) for a in found] == [
        (matrix[i, i], matrix[i].sum()) for i in range(10)
    ]


ONE = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: flips_of(ONE, ONE.float(), ONE),
            TypeError,
            "after must be class numbers (int64), got torch.float32.",
        ),
        (
            lambda: flips_of(ONE, ONE, ONE.expand(3)),
            ValueError,
            "All answers must be of the same examples, got 1 before, 1 after, 3 targets.",
        ),
        (
            lambda: per_class_accuracy_of(ONE, ONE + 4, 3),
            ValueError,
            "targets must be from 0 to 2 for 3 classes, got 4.",
        ),
        (
            lambda: per_class_accuracy_of(ONE, ONE, 0),
            ValueError,
            "num_classes must be a whole number of at least 1, got 0.",
        ),
        (
            lambda: flipped(nn.Identity(), nn.Identity(), torch.eye(3)),
            TypeError,
            "split must be a Split, got Tensor. Try dataset.validation.",
        ),
        (
            lambda: per_class_accuracy(nn.Identity(), torch.eye(3)),
            TypeError,
            "split must be a Split, got Tensor. Try dataset.validation.",
        ),
    ],
)
def test_mistakes_are_one_sentence(call, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        call()


def test_a_target_without_an_output_is_named_for_both_models(logits_split):
    sentence = "targets must be from 0 to 2 for 3 classes, got 7."
    split = logits_split([0, 1], [0, 7])
    for call in (per_class_accuracy, lambda m, s: flipped(m, nn.Identity(), s)):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            call(nn.Identity(), split)

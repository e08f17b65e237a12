import re

import pytest
import torch

from lwlab import data
from lwlab.data.subsets import few_labels, only_labelled, without_class


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def small():
    targets = torch.arange(40) % 4
    return data.from_arrays(torch.randn(40, 2), targets, class_names=("cat", "dog", "cow", "hen"))


@pytest.mark.parametrize("per_class", [1, 5, 60])
def test_exactly_so_many_labels_of_each_class_are_left_where_they_were(digits, per_class):
    few = few_labels(digits, per_class)
    known = few.train.targets >= 0
    assert torch.bincount(few.train.targets[known]).tolist() == [per_class] * 10
    assert torch.equal(few.train.targets[known], digits.train.targets[known])
    assert set(few.train.targets[~known].tolist()) == {-1}
    assert few.train.inputs is digits.train.inputs
    assert (few.validation, few.test) == (digits.validation, digits.test)
    assert few.name == f"digits with {per_class} labels a class"


def test_the_seed_decides_which_and_more_labels_add_to_fewer(digits):
    first, again, other = (few_labels(digits, 5, seed).train.targets for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    more = few_labels(digits, 9, 1).train.targets
    assert torch.equal(more[first >= 0], first[first >= 0])
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    few_labels(digits, 5)
    assert torch.equal(torch.rand(1), expected)


def test_the_original_keeps_its_labels(digits):
    before = digits.train.targets.clone()
    few_labels(digits, 1)
    assert torch.equal(digits.train.targets, before)


def test_what_is_labelled_can_be_taken_alone(digits):
    few = few_labels(digits, 5)
    alone = only_labelled(few)
    assert len(alone.train) == 50
    assert torch.equal(alone.train.inputs, digits.train.inputs[few.train.targets >= 0])
    assert alone.train.targets.min() == 0
    assert len(only_labelled(digits).train) == len(digits.train)


@pytest.mark.parametrize("left_out", ["cow", 2])
def test_a_class_is_left_out_of_training_alone_by_name_or_number(small, left_out):
    rest = without_class(small, left_out)
    keep = small.train.targets != 2
    assert torch.equal(rest.train.targets, small.train.targets[keep])
    assert torch.equal(rest.train.inputs, small.train.inputs[keep])
    assert 0 < len(rest.train) < len(small.train)
    assert (rest.validation, rest.test) == (small.validation, small.test)
    assert rest.class_names == small.class_names
    assert rest.name == "own data without cow"


def test_few_labels_after_a_class_is_left_out_leave_it_without(small):
    few = few_labels(without_class(small, "dog"), 2)
    known = few.train.targets[few.train.targets >= 0]
    assert torch.bincount(known, minlength=4).tolist() == [2, 0, 2, 2]


def test_mistakes_get_one_sentence(small):
    not_a_dataset = "dataset must be an lwlab.data.Dataset, got Split. Try data.from_arrays."
    for function in (lambda d: few_labels(d, 1), only_labelled, lambda d: without_class(d, 0)):
        with says(TypeError, not_a_dataset):
            function(small.train)
    with says(ValueError, "per_class must be a whole number of at least 1, got 0."):
        few_labels(small, 0)
    with says(
        ValueError,
        "per_class must be at most the number of training labels of each class, got 100 with 6 of "
        "class 'cat'.",
    ):
        few_labels(small, 100)
    with says(
        ValueError,
        "left_out must be one of 'cat', 'dog', 'cow' or 'hen', got 'hem'. Did you mean 'hen'?",
    ):
        without_class(small, "hem")
    with says(ValueError, "left_out must be a whole number from 0 to 3, got 4."):
        without_class(small, 4)
    with says(ValueError, "seed must be a whole number from 0 to 4294967295, got -1."):
        few_labels(small, 1, seed=-1)


def test_nothing_left_to_learn_from_gets_one_sentence(small):
    def with_targets(value):
        targets = torch.full_like(small.train.targets, value)
        train = data.Split(small.train.inputs, targets)
        return data.Dataset("odd", train, small.validation, small.test, small.class_names)

    with says(ValueError, "dataset must have at least one training label, got none."):
        only_labelled(with_targets(-1))
    with says(
        ValueError, "dataset must have training examples of another class than 'dog', got none."
    ):
        without_class(with_targets(1), "dog")

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from lwlab.data import Dataset, Split


def split(count=6, shape=(1, 2, 2), classes=3):
    inputs = torch.arange(count * int(np.prod(shape)), dtype=torch.float32).reshape(count, *shape)
    return Split(inputs, torch.arange(count) % classes)


def dataset(**changes):
    parts = {
        "name": "toy",
        "train": split(6),
        "validation": split(3),
        "test": split(4),
        "class_names": ("a", "b", "c"),
    }
    return Dataset(**(parts | changes))


def raises(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_a_split_knows_its_length_and_says_it_in_one_line():
    assert len(split(6)) == 6
    assert repr(split(6)) == "Split(6 x 1x2x2)"
    assert repr(split(1200, (5,))) == "Split(1,200 x 5)"


def test_take_gives_the_first_examples_and_at_most_all():
    whole = split(6)
    part = whole.take(2)
    assert torch.equal(part.inputs, whole.inputs[:2])
    assert part.targets.tolist() == [0, 1]
    assert len(whole.take(100)) == 6


def test_take_needs_a_whole_number_of_at_least_one():
    with raises(ValueError, "count must be a whole number of at least 1, got 0."):
        split().take(0)


@pytest.mark.parametrize(
    "indices", [[4, 1, 1], np.array([4, 1, 1]), torch.tensor([4, 1, 1], dtype=torch.int32)]
)
def test_select_gives_the_wanted_examples_in_the_wanted_order(indices):
    whole = split(6)
    part = whole.select(indices)
    assert part.targets.tolist() == [1, 1, 1]
    assert part.inputs[:, 0, 0, 0].tolist() == [16.0, 4.0, 4.0]


def test_select_copies():
    whole = split(6)
    whole.select([0]).inputs.fill_(99)
    assert whole.inputs[0, 0, 0, 0] == 0


def test_selecting_nothing_gives_an_empty_split():
    assert len(split(6).select([])) == 0


def test_select_refuses_what_is_no_index():
    with raises(TypeError, "indices must be whole numbers, got torch.float64."):
        split().select([0.5])
    with raises(TypeError, "indices must be whole numbers, got torch.bool."):
        split().select([True] * 6)
    with raises(ValueError, "indices must be in one dimension, got shape (1, 2)."):
        split().select([[0, 1]])
    with raises(ValueError, "indices must be from 0 to 5, got 6."):
        split().select([5, 6])
    with raises(ValueError, "indices must be from 0 to 5, got -1."):
        split().select([-1])


def test_a_split_refuses_other_types_and_dtypes():
    with raises(TypeError, "inputs must be a tensor of torch.float32, got ndarray."):
        Split(np.zeros((2, 3), np.float32), torch.zeros(2, dtype=torch.int64))
    with raises(TypeError, "inputs must be a tensor of torch.float32, got torch.float64."):
        Split(torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))
    with raises(TypeError, "targets must be a tensor of torch.int64, got torch.float32."):
        Split(torch.zeros(2, 3), torch.zeros(2))


def test_a_split_refuses_shapes_that_do_not_fit():
    with raises(ValueError, "inputs must have shape (N, ...), got (2,)."):
        Split(torch.zeros(2), torch.zeros(2, dtype=torch.int64))
    with raises(ValueError, "targets must have shape (2,), one class per input, got (3,)."):
        Split(torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64))


def test_a_dataset_derives_its_shape_and_classes_and_says_them_in_one_line():
    toy = dataset(class_names=["a", "b", "c"])
    assert toy.class_names == ("a", "b", "c")
    assert toy.input_shape == (1, 2, 2)
    assert toy.num_classes == 3
    assert repr(toy) == (
        "Dataset('toy': 6 / 3 / 4 train / validation / test, inputs 1x2x2, 3 classes)"
    )


def test_a_dataset_may_lack_a_class_in_a_split():
    # A teacher's lesson leaves the threes out of training: the names decide what exists.
    assert dataset(train=split(2)).num_classes == 3


def test_datasets_and_splits_cannot_be_changed():
    toy = dataset()
    with pytest.raises(FrozenInstanceError):
        toy.name = "other"
    with pytest.raises(FrozenInstanceError):
        toy.train.targets = toy.test.targets


def test_equality_is_identity_and_does_not_compare_tensors():
    toy = dataset()
    assert toy in [dataset(), toy]
    assert toy not in [dataset()]
    assert toy.train != split(6)
    assert len({toy, toy.train, toy.test}) == 3


def test_a_dataset_refuses_parts_that_do_not_fit():
    with raises(TypeError, "name must be a text, got 3."):
        dataset(name=3)
    with raises(TypeError, "test must be a Split, got Tensor."):
        dataset(test=torch.zeros(2, 3))
    with raises(ValueError, "validation must hold at least one example, got an empty split."):
        dataset(validation=split(6).select([]))
    with raises(
        ValueError,
        "test must have inputs of the shape of train's, (1, 2, 2), got (1, 3, 3).",
    ):
        dataset(test=split(4, (1, 3, 3)))
    with raises(ValueError, "test must have targets from 0 to 2, one per class name, got 3."):
        dataset(test=split(4, classes=4))
    unlabelled = Split(torch.zeros(1, 1, 2, 2), torch.tensor([-1]))
    for name in ("validation", "test"):
        sentence = f"{name} must have targets from 0 to 2, one per class name, got -1."
        with raises(ValueError, sentence):
            dataset(**{name: unlabelled})
    negative = Split(torch.zeros(1, 1, 2, 2), torch.tensor([-2]))
    with raises(
        ValueError,
        "train must have targets from 0 to 2, one per class name, or -1 for no label, got -2.",
    ):
        dataset(train=negative)


def test_training_examples_may_be_without_a_label():
    unlabelled = Split(torch.zeros(2, 1, 2, 2), torch.tensor([-1, 2]))
    assert dataset(train=unlabelled).train.targets.tolist() == [-1, 2]


def test_a_dataset_refuses_bad_class_names():
    with raises(TypeError, "class_names must be a sequence of texts, got 'abc'."):
        dataset(class_names="abc")
    with raises(TypeError, "class_names must be a sequence of texts, got 3."):
        dataset(class_names=3)
    with raises(TypeError, "class_names must be a sequence of texts, got [0, 1, 2]."):
        dataset(class_names=[0, 1, 2])
    with raises(ValueError, "class_names must name at least one class, got none."):
        dataset(class_names=())
    with raises(ValueError, "class_names must all be different, got 'a' more than once."):
        dataset(class_names=("a", "b", "a"))

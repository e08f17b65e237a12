import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lwlab.data import from_arrays


def arrays(count=40, shape=(3,), classes=4):
    inputs = np.arange(count * int(np.prod(shape)), dtype=np.float32).reshape(count, *shape)
    return inputs, np.arange(count) % classes


def raises(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def rows(split):
    return {tuple(row.flatten().tolist()) for row in split.inputs}


def test_forty_examples_are_split_as_worked_out_by_hand():
    # 15 % of 40 are 6; of 4 classes of 10 each, quota 1.5: two classes give 2, two give 1.
    own = from_arrays(*arrays())
    assert [len(own.train), len(own.validation), len(own.test)] == [28, 6, 6]
    assert torch.bincount(own.validation.targets).tolist() == [2, 2, 1, 1]
    assert own.class_names == ("0", "1", "2", "3")
    assert own.name == "own data"
    assert own.input_shape == (3,)


@pytest.mark.parametrize("shape", [(1,), (5,), (1, 8, 8), (3, 4, 5, 6)])
def test_any_input_shape_is_kept(shape):
    assert from_arrays(*arrays(shape=shape)).input_shape == shape


def test_each_input_keeps_its_target_and_none_is_lost_or_doubled():
    inputs, targets = arrays()
    own = from_arrays(inputs, targets)
    pairs = [
        (tuple(x.tolist()), int(y))
        for split in (own.train, own.validation, own.test)
        for x, y in zip(split.inputs, split.targets, strict=True)
    ]
    assert sorted(pairs) == sorted(
        (tuple(x.tolist()), int(y)) for x, y in zip(inputs, targets, strict=True)
    )


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    fractions=st.tuples(st.floats(0.01, 0.49), st.floats(0.01, 0.49)),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_class_is_in_every_split(counts, fractions, seed):
    targets = np.repeat(np.arange(len(counts)), counts)
    own = from_arrays(
        targets[:, None],
        targets,
        seed=seed,
        validation_fraction=fractions[0],
        test_fraction=fractions[1],
    )
    for split in (own.train, own.validation, own.test):
        assert set(split.targets.tolist()) == set(range(len(counts)))
    assert len(own.train) + len(own.validation) + len(own.test) == len(targets)


def test_the_seed_decides_and_no_global_stream_moves():
    before = torch.get_rng_state()
    first, again, other = (from_arrays(*arrays(), seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.test.targets, again.test.targets)
    assert rows(first.test) != rows(other.test)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int16", "int64", "uint16", "float16", "float32", "float64", ">f4", ">i2", "bool"],
)
def test_any_real_numpy_dtype_becomes_float32_and_is_not_rescaled(dtype):
    inputs = (np.arange(24).reshape(12, 2) % 2 * 200).astype(dtype)
    own = from_arrays(inputs, np.arange(12) % 2)
    assert own.train.inputs.dtype == torch.float32
    assert set(own.train.inputs.unique().tolist()) == {0.0, 1.0 if dtype == "bool" else 200.0}


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int32, torch.float16, torch.bfloat16, torch.float64, torch.bool]
)
def test_any_real_torch_dtype_becomes_float32(dtype):
    inputs = (torch.arange(24).reshape(12, 2) % 2).to(dtype)
    own = from_arrays(inputs, (torch.arange(12) % 2).to(dtype))
    assert own.train.inputs.dtype == torch.float32
    assert own.train.targets.dtype == torch.int64
    assert own.num_classes == 2


def test_numpy_and_torch_give_the_same_data_set():
    inputs, targets = arrays()
    one, two = from_arrays(inputs, targets), from_arrays(torch.tensor(inputs), targets.tolist())
    assert torch.equal(one.train.inputs, two.train.inputs)
    assert torch.equal(one.train.targets, two.train.targets)


def test_whole_floats_are_taken_as_classes():
    inputs, targets = arrays()
    own = from_arrays(inputs, targets.astype(np.float64))
    assert torch.equal(own.train.targets, from_arrays(inputs, targets).train.targets)


def test_odd_memory_is_taken():
    inputs, targets = arrays()
    expected = from_arrays(inputs, targets)
    read_only = inputs.copy()
    read_only.setflags(write=False)
    for same in (
        read_only,
        np.asfortranarray(inputs),
        inputs[::-1].copy()[::-1],
        torch.tensor(inputs).to_sparse(),
        torch.tensor(inputs, requires_grad=True),
    ):
        own = from_arrays(same, targets)
        assert torch.equal(own.train.inputs, expected.train.inputs)
        assert not own.train.inputs.requires_grad


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_later_changes_of_the_arrays_do_not_reach_the_data_set(convert):
    inputs, targets = arrays()
    own = from_arrays(convert(inputs), convert(targets))
    before = [own.train.inputs.clone(), own.train.targets.clone()]
    inputs[:] = -1
    targets[:] = 0
    assert torch.equal(own.train.inputs, before[0])
    assert torch.equal(own.train.targets, before[1])


def test_numpy_class_names_are_taken():
    names = np.array(["setosa", "versicolor"])
    assert from_arrays(*arrays(classes=2), names).class_names == ("setosa", "versicolor")


def test_lengths_must_agree():
    inputs, targets = arrays()
    with raises(ValueError, "targets must have one class per input, got 39 targets for 40 inputs."):
        from_arrays(inputs, targets[:-1])


def test_inputs_must_be_real_numbers_in_a_sensible_shape():
    inputs, targets = arrays()
    for bad, error, sentence in [
        ("abc", TypeError, "inputs must be a numpy array or a torch tensor, got str."),
        (None, TypeError, "inputs must be a numpy array or a torch tensor, got NoneType."),
        (inputs.astype(str), TypeError, "inputs must be real numbers, got numpy dtype <U32."),
        (inputs.astype(object), TypeError, "inputs must be real numbers, got numpy dtype object."),
        (inputs * 1j, TypeError, "inputs must be real numbers, got numpy dtype complex64."),
        (
            torch.tensor(inputs) * 1j,
            TypeError,
            "inputs must be real numbers, got torch.complex64.",
        ),
        (
            [[1.0], [1.0, 2.0]],
            ValueError,
            "inputs must be rectangular, got rows of unequal length.",
        ),
        (
            inputs[:, 0],
            ValueError,
            "inputs must have shape (N, ...), got (40,). Try inputs.reshape(-1, 1).",
        ),
        (3 * np.ones(()), ValueError, "inputs must have shape (N, ...), got ()."),
        (inputs[:0], ValueError, "inputs must not be empty, got shape (0, 3)."),
        (inputs[:, :0], ValueError, "inputs must not be empty, got shape (40, 0)."),
    ]:
        with raises(error, sentence):
            from_arrays(bad, targets)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_inputs_must_be_finite_as_float32(bad):
    inputs, targets = arrays()
    inputs = inputs.astype(np.float64)
    inputs[3, 1] = bad
    with raises(
        ValueError,
        "inputs as float32 must be finite, got 1 NaN or infinite of 120 values "
        "(the first at index (3, 1)).",
    ):
        from_arrays(inputs, targets)


def test_targets_must_be_classes_in_one_dimension():
    inputs, targets = arrays()
    one_hot = np.eye(4)[targets]
    for bad, error, sentence in [
        (
            one_hot,
            ValueError,
            "targets must have shape (N,), got (40, 4). Try targets.argmax(1) if they are one-hot.",
        ),
        (
            targets[:, None],
            ValueError,
            "targets must have shape (N,), got (40, 1). Try targets.reshape(-1).",
        ),
        (one_hot[None], ValueError, "targets must have shape (N,), got (1, 40, 4)."),
        (targets - 1, ValueError, "targets must be whole numbers from 0, got -1 at index 0."),
        (targets + 0.5, ValueError, "targets must be whole numbers from 0, got 0.5 at index 0."),
        (
            np.where(targets == 1, np.nan, targets),
            ValueError,
            "targets must be whole numbers from 0, got nan at index 1.",
        ),
        (
            targets.astype(np.uint64) + 2**63,
            ValueError,
            "targets must be whole numbers from 0, got 9223372036854775808 at index 0.",
        ),
        (targets.astype(str), TypeError, "targets must be real numbers, got numpy dtype <U21."),
        (7, TypeError, "targets must be a numpy array or a torch tensor, got int."),
    ]:
        with raises(error, sentence):
            from_arrays(inputs, bad)


def test_a_gap_between_the_classes_is_named():
    inputs, targets = arrays()
    hint = "Try numpy.unique(targets, return_inverse=True)[1]."
    with raises(
        ValueError,
        f"targets must use every class from 0 to 4, got no example of 2. {hint}",
    ):
        from_arrays(inputs, np.array([0, 1, 3, 4])[targets])
    with raises(
        ValueError,
        f"targets must use every class from 0 to 4, got no example of 0. {hint}",
    ):
        from_arrays(inputs, targets + 1)
    with raises(
        ValueError,
        "targets must use every class from 0 to 2147483647, got no example of 3, 4, 5 and "
        f"2,147,483,641 more. {hint}",
    ):
        from_arrays(inputs, np.array([0, 1, 2, 2**31 - 1])[targets])


def test_the_suggested_renumbering_helps():
    inputs, targets = arrays()
    gapped = np.array([0, 1, 3, 4])[targets]
    renumbered = np.unique(gapped, return_inverse=True)[1]
    assert from_arrays(inputs, renumbered).num_classes == 4


def test_each_class_needs_three_examples():
    inputs, _ = arrays(8)
    with raises(
        ValueError,
        "targets must have at least 3 examples of each class, one for each split, "
        "got 2 of class 1.",
    ):
        from_arrays(inputs, [0, 0, 0, 1, 1, 2, 2, 2])
    with raises(ValueError, "targets must use at least 2 classes, got 1."):
        from_arrays(inputs, [0] * 8)
    own = from_arrays(*arrays(6, classes=2))
    assert [len(own.train), len(own.validation), len(own.test)] == [2, 2, 2]


def test_class_names_must_fit():
    with raises(ValueError, "class_names must name 4 classes, 0 to 3, got 3 names."):
        from_arrays(*arrays(), class_names=["a", "b", "c"])
    with raises(ValueError, "class_names must all be different, got 'a' more than once."):
        from_arrays(*arrays(), class_names=["a", "b", "c", "a"])
    with raises(TypeError, "class_names must be a sequence of texts, got 'abcd'."):
        from_arrays(*arrays(), class_names="abcd")
    with raises(TypeError, "class_names must be a sequence of texts, got 5."):
        from_arrays(*arrays(), class_names=5)


def test_fractions_and_seed_must_make_sense():
    with raises(
        ValueError,
        "validation_fraction must be a fraction in [0, 1), got 15.0. Did you mean 0.15?",
    ):
        from_arrays(*arrays(), validation_fraction=15)
    with raises(
        ValueError,
        "validation_fraction and test_fraction must be above 0, got 0.15 and 0. "
        "Try lwlab.data.Dataset(...) for splits of your own.",
    ):
        from_arrays(*arrays(), test_fraction=0)
    with raises(ValueError, "validation_fraction + test_fraction must be below 1, got 0.5 + 0.5."):
        from_arrays(*arrays(), validation_fraction=0.5, test_fraction=0.5)
    with raises(ValueError, "seed must be a whole number from 0 to 4294967295, got -1."):
        from_arrays(*arrays(), seed=-1)

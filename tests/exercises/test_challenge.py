"""A challenge loads the file, scores it, and remembers the best."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from lwlab import data, measure, packing, prune
from lwlab.exercises.challenge import Challenge
from lwlab.models import SimpleCNN
from lwlab.train import fit


@pytest.fixture(scope="module")
def trained(digits):
    model = fresh()
    for _ in fit(model, digits, epochs=8):
        pass
    return model


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def fresh():
    return SimpleCNN((1, 8, 8), width=4, hidden=16)


def test_nothing_yet_says_what_to_do(digits):
    result = Challenge(fresh, digits, floor=0.5).score(None)
    assert str(result) == (
        "Challenge: not yet. Make the smallest file with at least 50.0 % right on the validation "
        "split."
    )


def test_a_file_counts_with_the_bytes_and_the_accuracy_that_it_has(digits, trained):
    challenge = Challenge(fresh, digits, floor=0.2)
    packed = packing.to_bytes(trained)
    result = challenge.score(packed)
    assert result.status == "counts"
    assert result.size_bytes == len(packed)
    assert result.accuracy == measure.accuracy(trained, digits.validation)
    assert challenge.best is result


def test_only_a_smaller_file_becomes_the_best(digits, trained):
    challenge = Challenge(fresh, digits, floor=0.15)
    whole = challenge.score(packing.to_bytes(trained))
    pruned = copy.deepcopy(trained)
    prune.mask_model_(pruned, sparsity=0.3)
    smaller = challenge.score(packing.to_bytes(pruned))
    assert smaller.message.endswith(
        f"{whole.size_bytes - smaller.size_bytes:,} bytes less than your best so far."
    )
    again = challenge.score(packing.to_bytes(trained))
    assert again.message.endswith(f"Your best so far is {smaller.size_bytes:,} bytes.")
    assert challenge.best is smaller


def test_a_file_below_the_floor_does_not_count(digits):
    challenge = Challenge(fresh, digits, floor=0.99)
    result = challenge.score(packing.to_bytes(fresh()))
    assert result.status == "below the floor"
    assert result.message.endswith("; 99.0 % is wanted.")
    assert challenge.best is None


def test_what_cannot_be_loaded_is_refused_by_the_sentence_of_the_reader(digits):
    challenge = Challenge(fresh, digits, floor=0.5)
    assert challenge.score(b"zip").message == (
        "data must be a file written by lwlab.packing.save, got one that starts with b'zip'."
    )
    assert challenge.score("model.lwlab").message == (
        "data must be the bytes of a packed file, got str. For a file on disk there is "
        "packing.load_(model, path)."
    )


def test_markup_in_a_name_is_text(digits):
    other = nn.Module()
    other.register_buffer("<b>x</b>", torch.zeros(1))
    result = Challenge(fresh, digits, floor=0.5).score(packing.to_bytes(other))
    assert result.status == "refused"
    assert "<b>" not in result._repr_html_().replace("<b>Challenge", "")


def test_bad_arguments_are_refused_in_a_sentence(digits):
    with pytest.raises(
        TypeError,
        match=re.escape(
            "fresh must be a function that makes a model, got str. Try lambda: SimpleCNN(...)."
        ),
    ):
        Challenge("SimpleCNN", digits, floor=0.5)
    with pytest.raises(
        ValueError,
        match=re.escape("floor must be a fraction in [0, 1), got 95.0. Did you mean 0.95?"),
    ):
        Challenge(fresh, digits, floor=95)

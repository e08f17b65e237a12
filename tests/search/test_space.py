import json
import re

import pytest

from lwlab.pipeline import (
    FineTune,
    Pack,
    Prune,
    Quantize,
    RemoveChannels,
    TrainQuantized,
    check_order,
)
from lwlab.search import SearchSpace


class Chosen:
    """A trial that chooses what it is told, and notes what it was asked."""

    def __init__(self, **choices):
        self.choices, self.asked = choices, {}

    def suggest_float(self, name, low, high, *, step):
        self.asked[name] = (low, high, step)
        return self.choices[name]

    def suggest_categorical(self, name, choices):
        self.asked[name] = choices
        assert self.choices[name] in choices
        return self.choices[name]


def test_the_steps_of_a_choice_by_hand():
    trial = Chosen(pruning_ratio=0.25, sparsity=0.5, bits=4, granularity="tensor", epochs=2)
    steps = SearchSpace(epochs=(1, 2)).steps(trial)
    assert steps == (
        RemoveChannels(0.25),
        FineTune(2),
        Prune(0.5),
        FineTune(2),
        Quantize(4, "tensor"),
        TrainQuantized(2),
        Pack(),
    )
    assert check_order(steps) == steps
    assert trial.asked["sparsity"] == (0.0, 0.95, 0.001)


@pytest.mark.parametrize(
    ("space", "choices", "steps"),
    [
        (
            SearchSpace(sparsity=None, bits=(4,), granularity=("channel",)),
            {"pruning_ratio": 0.0},
            (Quantize(4), TrainQuantized(1), Pack()),
        ),
        (
            SearchSpace(pruning_ratio=None, bits=(None, 8)),
            {"sparsity": 0.1234, "bits": None},
            (Prune(0.123), FineTune(1), Pack()),
        ),
        (
            SearchSpace(pruning_ratio=None, sparsity=(0.5, 0.5), bits=(None,), epochs=(0,)),
            {},
            (Prune(0.5), Pack()),
        ),
        (SearchSpace(), {"pruning_ratio": 0, "sparsity": 0, "bits": 2, "granularity": "tensor"},
         (Quantize(2, "tensor"), TrainQuantized(1), Pack())),
    ],
)  # fmt: skip
def test_what_is_left_out_or_zero_is_no_step(space, choices, steps):
    trial = Chosen(**choices)
    assert space.steps(trial) == steps
    assert set(trial.asked) == set(choices)  # what cannot vary is not asked


def test_lists_become_tuples_and_json_holds_it():
    space = SearchSpace(sparsity=[0.1, 0.2], bits=[None, "ternary"], granularity=[8])
    assert space.sparsity == (0.1, 0.2)
    assert json.loads(json.dumps(space.to_json())) == space.to_json()
    assert space.to_json()["bits"] == [None, "ternary"]


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"sparsity": (0.5, 0.1)}, ValueError,
         "sparsity must be (lowest, highest) in this order and at most 0.999, got (0.5, 0.1)."),
        ({"sparsity": (0.5, 0.9999)}, ValueError,
         "sparsity must be (lowest, highest) in this order and at most 0.999, got (0.5, 0.9999)."),
        ({"pruning_ratio": 0.5}, ValueError,
         "pruning_ratio must be (lowest, highest) or None, got 0.5."),
        ({"pruning_ratio": (0, 30)}, ValueError,
         "pruning_ratio must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"),
        ({"bits": ()}, ValueError, "bits must be a tuple of at least one choice, got ()."),
        ({"bits": 4}, ValueError, "bits must be a tuple of at least one choice, got 4."),
        ({"epochs": (1, 1)}, ValueError,
         "epochs must be a tuple of different choices, got (1, 1)."),
        ({"epochs": (-1,)}, ValueError,
         "epochs must be a whole number of at least 0, got -1."),
        ({"learning_rate": 0}, ValueError,
         "learning_rate must be a finite number above 0, got 0.0."),
        ({"granularity": ("row",)}, ValueError,
         "granularity must be one of 'tensor' or 'channel', got 'row'."),
        ({"pruning_ratio": None, "sparsity": None, "bits": (None,)}, ValueError,
         "a search space must leave something to choose, got no step at all."),
    ],
)  # fmt: skip
def test_each_wrong_field_is_refused_in_one_sentence(fields, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        SearchSpace(**fields)

import re

import pytest
import torch

from lwlab import packing
from lwlab.measure import accuracy
from lwlab.models import SimpleCNN
from lwlab.pipeline import FAMILIES, compress, run_all
from lwlab.pipeline.survey import Survey
from lwlab.train import fit

FEW = [
    "prune",
    "quantize",
    "share",
    "prune + 4 bits",
    "prune + 2 bits",
    "25% of channels + prune + 4 bits",
]


@pytest.fixture(scope="module")
def model(small):
    """A model that is trained once for all tests here."""

    made = SimpleCNN((1, 4, 4), 3, width=4, hidden=16)
    for _ in fit(made, small, epochs=20, learning_rate=1e-2):
        pass
    return made


def test_the_result_is_a_recipe_that_makes_the_same_file(model, small):
    found = compress(model, small, budget_bytes=1200, epochs=1, seed=2, families=FEW)
    assert len(found.data) <= 1200
    again = run_all(model, small, found.steps, seed=found.seed)
    assert again.data == found.data
    fresh = SimpleCNN((1, 4, 4), 3, width=4, hidden=16, seed=9)
    packing.from_bytes_(fresh, found.data, resize=True)
    assert found.scorecard.accuracy == accuracy(fresh, small.validation)
    assert found.scorecard.test == accuracy(fresh, small.test)
    assert found.scorecard.size_bytes == len(found.data)
    inputs = small.test.inputs
    assert torch.equal(found.model.eval()(inputs), fresh.eval()(inputs))
    assert {tried.family for tried in found.tried} <= set(FEW)


def test_it_prints_the_recipe_and_what_it_gives(model, small):
    found = compress(model, small, budget_bytes=1500, epochs=1)
    *lines, last = str(found).splitlines()
    assert lines == [f"  {step.describe()}" for step in found.steps]
    assert last == f"{found.scorecard}; {len(found.tried)} tries"
    assert f"accuracy (validation) {found.scorecard.accuracy}; file size" in last


def test_the_smallest_file_that_is_accurate_enough_is_found(model, small):
    wanted = 0.9
    found = compress(model, small, min_accuracy=wanted, epochs=1, families=FEW[1:4])
    assert found.scorecard.accuracy.value >= wanted
    assert len(found.data) < len(packing.to_bytes(model)) / 3
    good = [t for t in found.tried if t.full and t.scorecard.accuracy.value >= wanted]
    assert len(found.data) == min(tried.size_bytes for tried in good)


def test_an_impossible_budget_names_the_smallest_file(model, small):
    smallest = Survey(model, small).smallest([FAMILIES["quantize"]])
    sentence = (
        f"budget_bytes must be at least {smallest}, the smallest file found for this SimpleCNN, "
        f"got {smallest - 1}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        compress(model, small, budget_bytes=smallest - 1, families=["quantize"])
    found = compress(model, small, budget_bytes=smallest, epochs=1, families=["quantize"])
    assert len(found.data) <= smallest


def test_an_impossible_accuracy_names_the_best_one(model, small):
    untrained = SimpleCNN((1, 4, 4), 3, width=2, hidden=3)
    sentence = (
        r"min_accuracy must be at most \d+\.\d\d %, the best that was reached on the validation "
        r"split, got 100\.00 %\. Train the model further first\."
    )
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        compress(untrained, small, min_accuracy=1.0, epochs=1, families=["prune"])


def test_whoever_watches_sees_each_try_and_can_end_it(model, small):
    seen = []
    found = compress(
        model, small, budget_bytes=3000, epochs=1, families=["share"], watch=seen.append
    )
    assert tuple(seen) == found.tried
    assert str(seen[0]).startswith("share: ")

    def stop(tried):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(model, small, budget_bytes=3000, families=["share"], watch=stop)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {},
            (
                "exactly one of budget_bytes and min_accuracy must be given, got none. Try "
                "budget_bytes=10_000."
            ),
        ),
        (
            {"budget_bytes": 9, "min_accuracy": 0.9},
            (
                "exactly one of budget_bytes and min_accuracy must be given, got both. Try "
                "budget_bytes=10_000."
            ),
        ),
        ({"budget_bytes": 0}, "budget_bytes must be a whole number of at least 1, got 0."),
        (
            {"min_accuracy": 90},
            "min_accuracy must be a fraction in [0, 1], got 90.0. Did you mean 0.9?",
        ),
        (
            {"budget_bytes": 9, "epochs": 0},
            "epochs must be a whole number of at least 1, got 0.",
        ),
        (
            {"budget_bytes": 9, "families": []},
            "families must name at least one family, got none.",
        ),
        (
            {"budget_bytes": 9, "families": "prune"},
            "families must be a list of names, got 'prune'.",
        ),
    ],
)
def test_wrong_arguments_are_refused(settings, sentence, model, small):
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(sentence)}$"):
        compress(model, small, **settings)


def test_an_unknown_family_gets_a_did_you_mean(model, small):
    with pytest.raises(ValueError, match=r"got 'prun'\. Did you mean 'prune'\?$"):
        compress(model, small, budget_bytes=9, families=["prun"])


class Tied(torch.nn.Module):
    """Two layers with one weight: it can be neither masked, quantized nor shared."""

    def __init__(self):
        super().__init__()
        self.flat = torch.nn.Flatten()
        self.one, self.two = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(self.flat(x)).relu())


def test_a_family_that_does_not_fit_the_model_is_left_out(small):
    found = compress(Tied(), small, budget_bytes=10**6, epochs=1)
    assert {tried.family for tried in found.tried} == {"float"}
    start = "families must fit this Tied, got 'prune', where weight of layer 'one' must be its own"
    with pytest.raises(ValueError, match=f"^{re.escape(start)}"):
        compress(Tied(), small, budget_bytes=10**6, epochs=1, families=["prune", "share"])

import copy
import itertools
import re

import pytest
import torch
from torch import nn

from lwlab.data import Split
from lwlab.measure import Accuracy, accuracy, predictions
from lwlab.models import SimpleCNN
from lwlab.prune import RandomImportance, magnitude, mask_model_
from lwlab.prune.sensitivity import SPARSITIES, Sensitivity, scan_sensitivity

RISING = (0.3, 0.6, 0.9)


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def model():
    """Two layers by hand: class = sign of 4*x0 + 2*x1 + 1*x2 + 0*x3."""
    model = nn.Sequential(nn.Linear(4, 2, bias=False), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[4.0, 2, 1, 0], [-4, -2, -1, 0]]))
        model[1].weight.copy_(torch.eye(2))
    return model


@pytest.fixture
def split():
    """Four examples that only the weight 4, 2, 1 answers, and one that all of 4, 2, 1 answer."""
    inputs = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, -1, 0], [1, 1, 1, 1]])
    return Split(inputs, torch.tensor([0, 0, 0, 1, 0]))


@pytest.fixture
def network():
    """A network of noise whose answers differ from input to input."""
    network = SimpleCNN((1, 8, 8), width=4, hidden=16)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network


@pytest.fixture
def noise(network):
    """Inputs whose targets are what the whole network answers, but for the last ten."""
    inputs = torch.randn(100, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    targets = predictions(network, inputs)
    targets[-10:] = (targets[-10:] + 1) % 10
    return Split(inputs, targets)


def last(scan):
    return list(scan)[-1]


def test_a_scan_by_hand(model, split):
    # 2 of 8 weights of the first layer are 0; half pruned takes the ones as well: the examples 2
    # and 3 get logits (0, 0), of which the first class is taken, so that example 3 is wrong.
    table = last(scan_sensitivity(model, split, sparsities=(0.25, 0.5, 0.9)))
    assert table.baseline == Accuracy(5, 5)
    assert table.layers == ("0", "1")
    assert table.accuracies[0] == (Accuracy(5, 5), Accuracy(4, 5), Accuracy(4, 5))
    assert table.drop_at("0", 0.5) == pytest.approx(0.2)
    assert table.accuracy_at("0", 0.25) == Accuracy(5, 5)
    assert (table.accuracy_at("1", 0), table.drop_at("1", 0)) == (Accuracy(5, 5), 0)


@pytest.mark.parametrize("importance", [magnitude, RandomImportance(3)])
def test_each_point_is_what_mask_model_makes_of_that_layer_alone(network, noise, importance):
    table = last(scan_sensitivity(network, noise, sparsities=RISING, importance=importance))
    assert table.layers == ("conv1", "conv2", "fc1", "fc2")
    for name, sparsity in itertools.product(table.layers, RISING):
        alone = copy.deepcopy(network)
        mask_model_(alone, sparsity={name: sparsity}, importance=importance)
        assert table.accuracy_at(name, sparsity) == accuracy(alone, noise)
    assert len({point for row in table.accuracies for point in row}) > 5


def test_a_masked_model_keeps_its_other_masks_while_one_is_replaced(network, noise):
    mask_model_(network, sparsity={"conv1": 0.8, "fc1": 0.7})
    table = last(scan_sensitivity(network, noise, sparsities=RISING))
    assert table.baseline == accuracy(network, noise)
    for name in table.layers:
        alone = copy.deepcopy(network)
        mask_model_(alone, sparsity={name: 0.6})
        assert table.accuracy_at(name, 0.6) == accuracy(alone, noise)


def test_the_network_is_left_as_it_is_also_in_the_middle(network, noise, unchanged):
    with unchanged(network):
        for _ in itertools.islice(scan_sensitivity(network, noise), 5):
            pass
    mask_model_(network, sparsity=0.5)
    with unchanged(network):
        last(scan_sensitivity(network, noise, sparsities=[0.5]))


def test_each_yield_has_one_point_more_layer_after_layer(network, noise):
    tables = list(scan_sensitivity(network, noise, sparsities=RISING, layers=["fc2", "conv1"]))
    assert [table.done for table in tables] == list(range(7))
    assert {table.total for table in tables} == {6}
    assert tables[0].accuracies == ((None,) * 3,) * 2
    assert tables[4].layers == ("conv1", "fc2")  # the model's order
    assert [point is None for point in tables[4].accuracies[1]] == [False, True, True]
    assert tables[4].drop_at("fc2", 0.9) is None


def test_after_a_fall_beyond_the_tolerance_higher_sparsities_are_skipped(model, split):
    whole = last(scan_sensitivity(model, split, sparsities=(0.25, 0.5, 0.75, 0.9)))
    assert whole.accuracies[0][1:] == (Accuracy(4, 5),) * 3
    tables = list(
        scan_sensitivity(
            model, split, sparsities=(0.25, 0.5, 0.75, 0.9), tolerance=0.1, layers=["0"]
        )
    )
    assert tables[-1].accuracies == ((Accuracy(5, 5), Accuracy(4, 5), None, None),)
    assert [table.done for table in tables] == [0, 1, 4]
    assert (tables[-1].total, tables[-1].measured) == (4, 2)
    # A fall of exactly the tolerance is not beyond it: 1 - 0.8 is 0.19999999999999996.
    exact = last(
        scan_sensitivity(model, split, sparsities=(0.5, 0.75), tolerance=0.2, layers=["0"])
    )
    assert None not in exact.accuracies[0]


def test_a_scan_goes_on_where_it_stopped_and_measures_nothing_twice(network, noise, monkeypatch):
    tables = list(scan_sensitivity(network, noise, sparsities=RISING))
    runs = []

    def counted(*arguments):
        runs.append(1)
        return accuracy(*arguments)

    monkeypatch.setattr("lwlab.prune.sensitivity.accuracy", counted)
    known = Sensitivity.from_json(tables[5].to_json())
    assert known == tables[5]
    rest = list(scan_sensitivity(network, noise, sparsities=RISING, known=known))
    assert rest == tables[5:]
    assert len(runs) == 1 + 7  # the baseline and what was missing
    runs.clear()
    assert list(scan_sensitivity(network, noise, sparsities=RISING, known=rest[-1])) == rest[-1:]
    assert len(runs) == 1


def test_a_tolerance_can_be_lifted_when_going_on(model, split):
    short = last(scan_sensitivity(model, split, sparsities=(0.5, 0.75), tolerance=0.1))
    assert short.done == short.total > short.measured
    whole = last(scan_sensitivity(model, split, sparsities=(0.5, 0.75), known=short))
    assert whole == last(scan_sensitivity(model, split, sparsities=(0.5, 0.75)))


def test_json_is_plain_and_comes_back_as_it_was():
    table = Sensitivity(
        Accuracy(9, 10), ("a", 'b"<'), (0.5, 0.9), ((Accuracy(8, 10), None), (None, None)), 0.05
    )
    text = table.to_json()
    assert text == (
        '{"format": "lwlab sensitivity 1", "baseline": [9, 10], "layers": ["a", "b\\"<"], '
        '"sparsities": [0.5, 0.9], "tolerance": 0.05, "accuracies": [[[8, 10], null], '
        "[null, null]]}"
    )
    assert Sensitivity.from_json(text) == table == Sensitivity.from_json(text.encode())


def test_it_reads_as_a_table_in_text_and_in_html():
    table = Sensitivity(
        Accuracy(9, 10), ("a", "<b>"), (0.5, 0.95), ((Accuracy(8, 10), None), (None, None))
    )
    assert str(table).splitlines() == [
        "accuracy with one layer pruned  50 %    95 %",
        "a                               80.0 %  -",
        "<b>                             -       -",
    ]
    assert "&lt;b&gt;" in table._repr_html_()
    assert "<b>" not in table._repr_html_()


GOOD = Sensitivity(Accuracy(9, 10), ("a",), (0.5,), ((Accuracy(8, 10),),)).to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        b"\xff",
        GOOD.replace("sensitivity 1", "sensitivity 2"),
        GOOD.replace("[9, 10]", "[11, 10]"),
        GOOD.replace("[9, 10]", "null"),
        GOOD.replace("[9, 10]", "[9, NaN]"),
        GOOD.replace("[8, 10]", '"ab"'),
        GOOD.replace("[8, 10]", "7"),
        GOOD.replace("[[[8, 10]]]", "[]"),
        GOOD.replace("[0.5]", "[0.5, 0.4]"),
        GOOD.replace("[0.5]", "[NaN]"),
        GOOD.replace("[0.5]", "[50]"),
        GOOD.replace('["a"]', "[1]"),
        GOOD.replace("null", '"0.1"'),
    ],
)
def test_another_text_is_refused_by_one_sentence(text):
    with pytest.raises(ValueError, match=r"^text must be what Sensitivity.to_json\(\) wrote, got "):
        Sensitivity.from_json(text)


def test_known_of_another_scan_is_refused(network, noise):
    known = last(scan_sensitivity(network, noise, sparsities=(0.5,), layers=["fc1"]))
    end = "Leave it out to begin anew."
    with says(ValueError, f"known must be of the same layers, conv1, got fc1. {end}"):
        scan_sensitivity(network, noise, sparsities=(0.5,), layers=["conv1"], known=known)
    with says(ValueError, f"known must be of the same sparsities, 0.5, 0.6, got 0.5. {end}"):
        scan_sensitivity(network, noise, sparsities=(0.5, 0.6), layers=["fc1"], known=known)
    with says(TypeError, "known must be a Sensitivity, got str."):
        scan_sensitivity(network, noise, known=known.to_json())
    right = known.baseline.correct
    other = scan_sensitivity(
        network, noise.take(40), sparsities=(0.5,), layers=["fc1"], known=known
    )
    now = accuracy(network, noise.take(40)).correct
    with says(
        ValueError,
        f"known must be of the same model and split, with {now} of 40 right before pruning, got "
        f"{right} of 100. {end}",
    ):
        next(other)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"sparsities": [0.5, 0.5]},
            ValueError,
            "sparsities must rise, at least one, got [0.5, 0.5]. Try [0.5, 0.8, 0.9].",
        ),
        (
            {"sparsities": []},
            ValueError,
            "sparsities must rise, at least one, got []. Try [0.5, 0.8, 0.9].",
        ),
        (
            {"sparsities": 0.5},
            TypeError,
            "sparsities must be a list of fractions in [0, 1), got 0.5. Try [0.5, 0.8, 0.9].",
        ),
        (
            {"sparsities": [30]},
            ValueError,
            "sparsities must be a fraction in [0, 1), got 30.0. Did you mean 0.3?",
        ),
        (
            {"tolerance": 2},
            ValueError,
            "tolerance must be a fraction in [0, 1], got 2.0. Did you mean 0.02?",
        ),
        (
            {"importance": lambda weight: weight * float("nan"), "layers": ["fc2"]},
            ValueError,
            "importance of layer 'fc2' must not hold NaN, got 160 NaN of 160 values.",
        ),
        (
            {"split": None},
            TypeError,
            "split must be a Split, got NoneType. Try dataset.validation.",
        ),
    ],
)
def test_a_mistake_is_answered_at_the_call_by_one_sentence(
    network, noise, changes, error, sentence
):
    with says(error, sentence):
        scan_sensitivity(network, **{"split": noise, **changes})


def test_a_weight_that_is_not_finite_is_named(network, noise):
    with torch.no_grad():
        network.fc2.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="weight of layer 'fc2' must be finite, got 1 NaN"):
        scan_sensitivity(network, noise)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda t: t.drop_at("fc", 0.5),
            "layer must be one of 'fc1', got 'fc'. Did you mean 'fc1'?",
        ),
        (
            lambda t: t.drop_at("fc1", 0.4),
            "sparsity must be one that was scanned, 0.5, 0.75, got 0.4.",
        ),
        (
            lambda t: Sensitivity(t.baseline, ("a", "a"), (0.5,), ((None,), (None,))),
            "layers must be different names, at least one, got ('a', 'a').",
        ),
        (
            lambda t: t.with_point("fc1", 0.5, Accuracy(4, 5)),
            "a point must be of the baseline's 10 examples, got 5.",
        ),
        (
            lambda t: Sensitivity(t.baseline, ("a", "b"), (0.5,), ((None,),)),
            "accuracies must hold 2 rows of 1, one row a layer, got rows of 1.",
        ),
    ],
)
def test_what_the_table_does_not_have_is_refused(ask, sentence):
    table = Sensitivity.empty(Accuracy(9, 10), ["fc1"], [0.5, 0.75])
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ask(table)


def test_the_usual_sparsities_are_some_that_can_be_scanned():
    assert Sensitivity.empty(Accuracy(1, 2), ["a"], SPARSITIES).total == 10

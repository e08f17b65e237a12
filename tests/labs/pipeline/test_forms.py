import dataclasses
import json

import pytest

from lwlab.labs.pipeline.forms import FIELDS, entry_of, kinds, step_of
from lwlab.pipeline import STEPS, Halve, Prune, Quantize


def test_every_field_of_every_step_has_a_place_in_the_form():
    fields = {f.name for kind in STEPS.values() for f in dataclasses.fields(kind)}
    assert fields == set(FIELDS)


def test_the_first_of_each_kind_can_be_made_and_is_what_json_holds():
    for name, kind in json.loads(json.dumps(kinds())).items():
        step = step_of(kind["first"])
        assert step.name == name
        assert entry_of(step) == kind["first"]
        assert [field["name"] for field in kind["fields"]] == [
            field.name for field in dataclasses.fields(step)
        ]
        assert kind["about"].endswith((".", ":")) or kind["about"]


def test_each_option_of_a_menu_is_one_that_its_steps_take():
    for name, kind in kinds().items():
        for field in kind["fields"]:
            for option in field["options"]:
                first = {**kind["first"], field["name"]: option}
                assert getattr(step_of(first), field["name"]) == option, (name, field["name"])


def test_a_step_goes_through_a_dict_and_comes_back_equal():
    for step in (
        Prune(0.9, scope="layer"),
        Quantize({"fc1": 3}),
        Halve("all"),
        Prune(pattern="2:4"),
    ):
        assert step_of(json.loads(json.dumps(entry_of(step)))) == step


@pytest.mark.parametrize(
    ("entry", "error", "sentence"),
    [
        (
            {"step": "Prine"},
            ValueError,
            ("a step must be one of 'Train', 'Distil', 'Prune', 'RemoveChannels', 'FineTune', "
             "'Quantize', 'TrainQuantized', 'ShareWeights', 'Halve' or 'Pack', got 'Prine'."),
        ),
        (
            ["Prune"],
            ValueError,
            ("a step must be one of 'Train', 'Distil', 'Prune', 'RemoveChannels', 'FineTune', "
             "'Quantize', 'TrainQuantized', 'ShareWeights', 'Halve' or 'Pack', got None."),
        ),
        (
            {"step": "Halve", "tensor": "all"},
            ValueError,
            ("Halve must have no fields but 'tensors', got 'tensor'. Did you mean 'tensors'?"),
        ),
        (
            {"step": "FineTune", "epochs": 0},
            ValueError,
            "epochs must be a whole number of at least 1, got 0.",
        ),
        (
            {"step": "FineTune", "epochs": None},
            TypeError,
            "epochs must be a whole number of at least 1, got None.",
        ),
    ],
)  # fmt: skip
def test_what_a_page_sends_is_checked(says, entry, error, sentence):
    with says(error, sentence):
        step_of(entry)

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwlab.pipeline import (
    STEPS,
    Distil,
    FineTune,
    Halve,
    Pack,
    Prune,
    Quantize,
    Recipe,
    RemoveChannels,
    ShareWeights,
    Train,
    TrainQuantized,
    recipe_from_json,
    recipe_to_json,
)

epochs = st.integers(1, 50)
rates = st.floats(1e-6, 1, exclude_min=True)
fractions = st.floats(0, 1, exclude_max=True)
widths = st.integers(1, 8) | st.just("ternary")
layers = st.dictionaries(st.text(max_size=9), widths, min_size=1, max_size=3)
steps = st.one_of(
    st.builds(Train, epochs, rates),
    st.builds(Distil, epochs, rates, st.floats(0.5, 20), st.floats(0, 1)),
    st.builds(
        Prune,
        fractions,
        st.sampled_from(["global", "layer"]),
        st.sampled_from(["magnitude", "taylor", "random"]),
        st.none(),
        st.integers(0, 9),
        rates,
    ),
    st.builds(Prune, pattern=st.sampled_from(["1:4", "2:4", "31:32"])),
    st.builds(RemoveChannels, fractions, st.sampled_from(["global", "layer"])),
    st.builds(FineTune, epochs, rates, st.booleans()),
    st.builds(
        Quantize,
        widths | layers,
        st.sampled_from(["tensor", "channel"]) | st.integers(1, 64),
        st.sampled_from(["min-max", "mse"]),
    ),
    st.builds(Quantize, budget_bytes=st.integers(1, 10**9)),
    st.builds(TrainQuantized, epochs, rates, st.booleans(), st.booleans()),
    st.builds(ShareWeights, st.integers(2, 256), st.sampled_from(["linear", "optimal"])),
    st.builds(Halve, st.sampled_from(["biases", "batchnorm", "all"])),
    st.just(Pack()),
)


def a_recipe(*entries, **more):
    return json.dumps({"lwlab recipe": 1, "steps": list(entries), "seed": 0, **more})


def refused(text, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        recipe_from_json(text)


@given(step=steps, seed=st.integers(0, 2**31))
def test_each_step_comes_back_from_json(step, seed):
    before = {"FineTune": [Prune(0.5)], "TrainQuantized": [Quantize(4)]}.get(step.name, [])
    recipe = Recipe((*before, step), seed)
    text = recipe_to_json(recipe.steps, recipe.seed)
    assert recipe_from_json(text) == recipe
    assert "NaN" not in text


def test_a_recipe_reads_as_it_is_written_down():
    text = '{"lwlab recipe": 1, "steps": [{"step": "Prune", "sparsity": 0.9}, {"step": "Pack"}]}'
    assert recipe_from_json(text) == Recipe((Prune(0.9), Pack()), 0)
    whole = json.loads(recipe_to_json([Prune(0.9)], seed=3))
    assert whole == {
        "lwlab recipe": 1,
        "steps": [
            {
                "step": "Prune",
                "sparsity": 0.9,
                "scope": "global",
                "criterion": "magnitude",
                "pattern": None,
                "epochs": 0,
                "learning_rate": 0.001,
            }
        ],
        "seed": 3,
    }


def test_an_unknown_step_or_field_gets_a_did_you_mean():
    names = ", ".join(repr(name) for name in list(STEPS)[:-1]) + " or 'Pack'"
    refused(
        a_recipe({"step": "Prun"}),
        f"step 1 of a recipe must have a \"step\" of {names}, got 'Prun'. Did you mean 'Prune'?",
    )
    refused(
        a_recipe({"step": "RemoveChannels", "prunning_ratio": 0.5}),
        "step 1 of a recipe (RemoveChannels) must have no fields but 'step', 'pruning_ratio', "
        "'scope' or 'channel_criterion', got 'prunning_ratio'. Did you mean 'pruning_ratio'?",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "recipe must be a JSON object, got []."),
        ('{"steps": []}', 'recipe must say "lwlab recipe": 1, got None.'),
        ('{"lwlab recipe": true}', 'recipe must say "lwlab recipe": 1, got True.'),
        (a_recipe(), "steps of a recipe must be a list of 1 to 100, got 0."),
        (
            '{"lwlab recipe": 1, "steps": {"step": "Pack"}}',
            "steps of a recipe must be a list of 1 to 100, got {'step': 'Pack'}.",
        ),
        (
            a_recipe({"step": "Prune", "sparsity": 90}),
            (
                "step 1 of a recipe (Prune) must have allowed values: sparsity must be a fraction "
                "in [0, 1), got 90.0. Did you mean 0.9?"
            ),
        ),
        (
            a_recipe({"step": "FineTune", "distil": 1}),
            (
                "step 1 of a recipe (FineTune) must have allowed values: distil must be True or "
                "False, got 1."
            ),
        ),
        (a_recipe({"step": "Pack"}, seed=-1), "seed must be a whole number of at least 0, got -1."),
        (
            a_recipe({"step": "Pack"}, seed="x"),
            "seed must be a whole number of at least 0, got 'x'.",
        ),
        (
            '{"lwlab recipe": 1, "lwlab recipe": 1}',
            "recipe must name each field once, got 'lwlab recipe' twice.",
        ),
        ('{"seed": NaN}', "recipe must hold finite numbers, got NaN."),
        (f'{{"seed": {"9" * 5000}}}', "recipe must hold short numbers, got one of 5,000 digits."),
        ("[" * 50_000, "recipe must not be nested so deeply, got a text of lists in lists."),
        ("x" * 100_001, "recipe must have at most 100,000 characters, got 100,001."),
        (
            "{",
            (
                "recipe must be a JSON text, got an error in it: Expecting property name enclosed "
                "in double quotes: line 1 column 2 (char 1)."
            ),
        ),
        (
            a_recipe({"step": "Pack"}, more=1),
            "recipe must have no fields but 'lwlab recipe', 'steps' or 'seed', got 'more'.",
        ),
    ],
)
def test_a_hostile_recipe_is_refused_in_one_sentence(text, sentence):
    refused(text, sentence)


def test_a_recipe_must_be_a_text():
    with pytest.raises(TypeError, match=re.escape("recipe must be a JSON text, got bytes.")):
        recipe_from_json(b"{}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(name=st.sampled_from(sorted(STEPS)), data=st.data())
def test_any_values_give_a_recipe_or_one_sentence(name, data):
    fields = list(STEPS[name].__dataclass_fields__) or ["step"]
    given = data.draw(st.dictionaries(st.sampled_from(fields), json_values))
    recipe, error = attempt(a_recipe({**given, "step": name}))
    if error:
        assert error.endswith((".", "?", "..."))
        assert "\n" not in error
    else:
        assert recipe_from_json(recipe_to_json(recipe.steps)) == recipe


def attempt(text):
    try:
        return recipe_from_json(text), ""
    except ValueError as error:
        return None, str(error)

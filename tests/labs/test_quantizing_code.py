"""The calls that a model's quantizers are described by put the same ones on."""

import copy

import pytest
import torch

from lwlab.labs.quantizing_code import preparation
from lwlab.quantize import Percentile, PerGroup, PerTensor, prepare_
from lwlab.quantize.activations import prepare_activations
from lwlab.quantize.learning import learn_clips_, learn_steps_
from lwlab.quantize.preparing import unprepare_


def with_activations(model, digits, **settings):
    return prepare_activations(model, digits.train.take(500), **settings)


def two_bit_weights(model, digits):
    prepare_(model, num_bits=2)
    return model


def mixed_weights(model, digits):
    prepare_(model, num_bits={"conv1": 8, "fc1": [2] * 16 + [4] * 16})
    prepare_(model, num_bits=4, layers=["fc2"], granularity=PerTensor(), symmetric=False)
    learn_steps_(model, layers=["conv1", "fc1"], start="current")
    return model


def ternary_groups(model, digits):
    prepare_(model, num_bits="ternary", layers=["fc1", "fc2"], granularity=PerGroup(8))
    prepare_(model, num_bits=6, layers=["conv2"], range_rule=Percentile(99.0), follow=False)
    return model


def some_points(model, digits):
    model = with_activations(model, digits, num_bits={"conv1": 4, "fc1": 8}, symmetric=True)
    learn_clips_(model, points=["fc1"])
    return model


def all_learned(model, digits):
    model = with_activations(model, digits, num_bits=4, range_rule=Percentile(99.5))
    prepare_(model, num_bits=4)
    learn_steps_(model)
    return model


def steps_and_clips(model, digits):
    model = with_activations(model, digits, num_bits=4, follow=False)
    prepare_(model, num_bits=4)
    learn_steps_(model, points=[])
    learn_clips_(model)
    return model


@pytest.mark.parametrize(
    "build",
    [
        two_bit_weights,
        mixed_weights,
        ternary_groups,
        some_points,
        all_learned,
        steps_and_clips,
    ],
)
def test_the_calls_make_the_same_model(build, trained, digits):
    expected = build(copy.deepcopy(trained), digits)
    imports, calls = preparation(expected)
    namespace = {"model": trained, "dataset": digits}
    exec("\n".join([*imports, *calls]), namespace)
    made = namespace["model"]
    assert repr(made) == repr(expected)
    states = made.state_dict(), expected.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    images = digits.validation.inputs[:20]
    assert torch.equal(made.eval()(images), expected.eval()(images))


def test_one_width_everywhere_is_one_number(trained, digits):
    imports, calls = preparation(all_learned(trained, digits))
    assert calls[1:] == ["prepare_(model, num_bits=4)", "learn_steps_(model)"]
    assert imports == [
        "from lwlab.quantize import Percentile, learn_steps_, prepare_, prepare_activations"
    ]


def test_a_float_model_needs_none(trained, digits):
    assert preparation(trained) == ([], [])
    prepare_(trained, num_bits=2)
    unprepare_(trained)
    assert preparation(trained) == ([], [])

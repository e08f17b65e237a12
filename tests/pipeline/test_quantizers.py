import pytest

from lwlab.pipeline.quantizers import learn_new_steps_, learns, quantizers_of
from lwlab.quantize import LearnedStep, prepare_


def test_few_bits_start_from_the_mean_and_many_from_their_range(network):
    prepare_(network, num_bits={"conv1": 8, "conv2": "ternary", "fc1": 4, "fc2": 5})
    learn_new_steps_(network)
    starts = {name: fake.start for name, fake in quantizers_of(network).items()}
    assert starts == {"conv1": "current", "conv2": "mean", "fc1": "mean", "fc2": "current"}


def test_one_bit_keeps_its_rule_and_learned_steps_are_left_alone(network):
    prepare_(network, num_bits={"conv1": 1, "fc1": 4})
    learn_new_steps_(network)
    first = quantizers_of(network)
    assert (learns(first["conv1"]), learns(first["fc1"])) == (False, True)
    learn_new_steps_(network)
    assert quantizers_of(network)["fc1"] is first["fc1"]


@pytest.mark.parametrize("widths", [[2] * 6 + [4] * 6, [1] * 6 + [2] * 6])
def test_channels_of_their_own_widths_learn_from_their_range(widths, network):
    prepare_(network, num_bits={"fc1": widths})
    learn_new_steps_(network)
    fake = quantizers_of(network)["fc1"]
    assert learns(fake)
    assert {part.start for part in fake.parts if isinstance(part, LearnedStep)} == {"current"}


def test_a_model_without_quantizers_stays_as_it_is(network):
    learn_new_steps_(network)
    assert quantizers_of(network) == {}

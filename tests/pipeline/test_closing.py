import re

import pytest
import torch

from lwlab import packing
from lwlab.pipeline import Halve, Pack, Quantize
from lwlab.pipeline.benches import carry_out


def test_pack_keeps_the_file_and_goes_on_with_what_it_holds(bench_of, network, small):
    bench = bench_of(network)
    carry_out(bench, [Quantize(3)])
    data, answers = packing.to_bytes(bench.model), bench.model.eval()(small.test.inputs)
    carry_out(bench, [Pack()])
    assert bench.data == data
    assert type(bench.model) is type(network)
    assert torch.equal(bench.model.eval()(small.test.inputs), answers)


def test_halved_numbers_take_less_room_and_lie_on_half_precision(bench_of, network):
    bench = bench_of(network)
    before = len(packing.to_bytes(bench.model))
    carry_out(bench, [Halve("all")])
    for parameter in bench.model.parameters():
        assert torch.equal(parameter, parameter.half().float())
    assert len(packing.to_bytes(bench.model)) < 0.7 * before


def test_only_the_biases_are_halved_where_that_is_asked_for(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Halve("biases")])
    assert torch.equal(bench.model.fc1.weight, network.fc1.weight)
    assert torch.equal(bench.model.fc1.bias, network.fc1.bias.half().float())


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Halve(), "Round the biases to half precision"),
        (Halve("batchnorm"), "Round the BatchNorm numbers to half precision"),
        (Halve("all"), "Round all numbers still in float to half precision"),
        (Pack(), "Pack into one file and load it back"),
    ],
)
def test_a_step_says_what_it_does(step, line):
    assert step.describe() == line


def test_a_wrong_field_is_refused():
    sentence = (
        "tensors must be one of 'biases', 'batchnorm' or 'all', got 'bias'. Did you mean 'biases'?"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Halve("bias")

import re

import pytest

from lwlab import packing
from lwlab.models.layers import compressible_layers
from lwlab.pipeline import Prune, Quantize, ShareWeights
from lwlab.pipeline.benches import carry_out
from lwlab.pipeline.quantizers import quantizers_of
from lwlab.pipeline.rounding import granularity_from, granularity_name
from lwlab.quantize import MeanSquared, PerGroup, PerTensor, current_bits, current_codebooks


def test_weights_lie_on_the_grid_that_was_asked_for(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Quantize(2, granularity="tensor", range_rule="mse")])
    for layer in compressible_layers(bench.model):
        assert len(layer.weight.unique()) <= 4
    fake = quantizers_of(bench.model)["fc1"]
    assert fake.granularity == PerTensor()
    assert isinstance(fake.range_rule, MeanSquared)


def test_layers_can_have_widths_of_their_own(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Quantize({"fc1": 3, "fc2": "ternary"}, granularity=4)])
    assert current_bits(bench.model) == {"fc1": 3, "fc2": "ternary"}


def test_mixed_widths_meet_the_budget(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Prune(0.3), Quantize(budget_bytes=800)])
    assert len(packing.to_bytes(bench.model)) <= 800
    assert set(current_bits(bench.model)) == {"conv1", "conv2", "fc1", "fc2"}


def test_shared_weights_are_few_values_and_zeros_stay(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Prune(0.5), ShareWeights(4)])
    for layer in compressible_layers(bench.model):
        assert len(layer.weight.unique()) <= 4
        assert bool((layer.weight == 0).any())
    assert len(current_codebooks(bench.model)) == 4


@pytest.mark.parametrize("value", ["tensor", "channel", 16])
def test_a_granularity_has_one_name(value):
    assert granularity_name(granularity_from(value)) == value
    assert granularity_from(16) == PerGroup(16)


def test_steps_of_equal_fields_are_equal_and_can_be_looked_up():
    one, other = Quantize({"fc1": 3}), Quantize({"fc1": 4})
    assert one != other
    assert len({one, other, Quantize({"fc1": 3})}) == 2


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Quantize(1), "Quantize the weights to 1 bit, a scale for each channel"),
        (
            Quantize("ternary", granularity=32, range_rule="mse"),
            (
                "Quantize the weights to three values, a scale for each 32 weights, clipped for "
                "the least squared error"
            ),
        ),
        (
            Quantize({"fc1": 3, "fc2": 8}, granularity="tensor"),
            "Quantize the weights to 3 (fc1), 8 (fc2) bits, a scale for each tensor",
        ),
        (
            Quantize(budget_bytes=9000),
            "Quantize the weights to mixed widths for 9.00 kB, a scale for each channel",
        ),
        (ShareWeights(16), "Share the weights: 16 values in each layer (linear)"),
    ],
)
def test_a_step_says_what_it_does(step, line):
    assert step.describe() == line


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            Quantize,
            "exactly one of num_bits and budget_bytes must be given, got none. Try num_bits=4.",
        ),
        (
            lambda: Quantize(4, budget_bytes=9),
            "exactly one of num_bits and budget_bytes must be given, got both. Try num_bits=4.",
        ),
        (lambda: Quantize(9), "num_bits must be a whole number from 1 to 8, got 9."),
        (lambda: Quantize({}), "num_bits must name at least one layer, got none."),
        (lambda: Quantize({3: 4}), "num_bits must go by the names of layers, got 3."),
        (
            lambda: Quantize({"fc1": 0}),
            "num_bits of layer 'fc1' must be a whole number from 1 to 8, got 0.",
        ),
        (
            lambda: Quantize(4, granularity="chanel"),
            (
                "granularity must be one of 'tensor' or 'channel', got 'chanel'. Did you mean "
                "'channel'?"
            ),
        ),
        (
            lambda: Quantize(4, granularity=0),
            "granularity must be a whole number of at least 1, got 0.",
        ),
        (
            lambda: Quantize(4, range_rule="max"),
            "range_rule must be one of 'min-max' or 'mse', got 'max'. Did you mean 'min-max'?",
        ),
        (
            lambda: Quantize(budget_bytes=900, granularity="tensor"),
            (
                "granularity must be 'channel' or the size of a group with budget_bytes, which "
                "gives each channel its own width, got 'tensor'."
            ),
        ),
        (lambda: ShareWeights(1), "values must be a whole number from 2 to 256, got 1."),
        (
            lambda: ShareWeights(8, "lin"),
            "initialization must be one of 'linear', 'density', 'random' or 'optimal', got 'lin'.",
        ),
    ],
)
def test_a_wrong_field_is_refused(make, sentence):
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(sentence)}"):
        make()

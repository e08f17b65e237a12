import json

import pytest
import torch
from torch.nn.utils import parametrize

from lwlab.pipeline import (
    FineTune,
    Prune,
    Quantize,
    RemoveChannels,
    ShareWeights,
    TrainQuantized,
)
from lwlab.pipeline.benches import carry_out
from lwlab.pipeline.blueprint import blueprint_of, built_from
from lwlab.pipeline.quantizers import learns, quantizers_of


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [Prune(0.5)],
        [Prune(0.5), RemoveChannels(0.5)],
        [RemoveChannels(0.25), Prune(0.5), Quantize(3, range_rule="mse")],
        [Quantize("ternary", granularity=1), TrainQuantized(epochs=1)],
        [Quantize({"fc1": 1, "fc2": 5}, granularity="tensor"), TrainQuantized(epochs=1)],
        [Prune(pattern="2:4"), ShareWeights(5), FineTune(epochs=1)],
        [ShareWeights(2)],
        [Quantize(budget_bytes=900), TrainQuantized(epochs=1)],
    ],
)
def test_a_model_is_built_again_and_filled_to_the_bit(steps, bench_of, network, small, same):
    bench = bench_of(network)
    carry_out(bench, steps)
    blueprint = json.loads(json.dumps(blueprint_of(bench.model)))
    again = built_from(blueprint, network)
    again.load_state_dict(bench.model.state_dict())
    assert same(again, bench.model)
    assert blueprint_of(again) == blueprint_of(bench.model)
    inputs = small.test.inputs
    assert torch.equal(again.eval()(inputs), bench.model.eval()(inputs))
    mine, theirs = quantizers_of(again), quantizers_of(bench.model)
    assert {n: learns(f) for n, f in mine.items()} == {n: learns(f) for n, f in theirs.items()}


def test_the_model_of_the_start_stays_plain(bench_of, network):
    bench = bench_of(network)
    carry_out(bench, [Prune(0.5), Quantize(4)])
    built_from(blueprint_of(bench.model), network)
    assert not any(parametrize.is_parametrized(module) for module in network.modules())


def test_what_no_step_puts_on_has_no_blueprint(network):
    torch.nn.utils.parametrizations.weight_norm(network.fc1)
    with pytest.raises(TypeError, match=r"^no step puts a _WeightNorm on a weight\.$"):
        blueprint_of(network)

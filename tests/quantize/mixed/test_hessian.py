"""The Hessian trace against the exact Hessian, and the proxy made of it."""

import copy
import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from lwlab.data import Split
from lwlab.models import ResNet8, seeded
from lwlab.quantize.granularity import PerTensor
from lwlab.quantize.mixed.hessian import LayerTrace, hessian_trace, trace_proxy
from lwlab.quantize.observers import MeanSquared
from lwlab.quantize.preparing import prepare_
from lwlab.quantize.tensor import quantize_tensor


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def tiny(seed=0):
    with seeded(seed):
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)
        )
        split = Split(torch.randn(30, 1, 4, 4), torch.randint(0, 3, (30,)))
    return model, split


def exact_traces(model, split):
    """The trace of each layer's whole Hessian, by torch.autograd.functional in float64."""
    model = copy.deepcopy(model).double()
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    found = {}
    for name, tensor in state.items():
        if not name.endswith("weight"):
            continue

        def loss(weight, name=name):
            outputs = functional_call(model, {**state, name: weight}, split.inputs.double())
            return F.cross_entropy(outputs, split.targets)

        hessian = torch.autograd.functional.hessian(loss, tensor)
        found[name.removesuffix(".weight")] = float(hessian.reshape(tensor.numel(), -1).trace())
    return found


def test_one_weight_by_hand():
    # Logits (w, 0), target 0: L = log(1 + exp(-w)), L'' = p (1 - p), p = 1 / (1 + exp(-w)).
    class OneWeight(nn.Module):
        def __init__(self):
            super().__init__()
            self.only = nn.Linear(1, 1, bias=False)
            nn.init.constant_(self.only.weight, math.log(3))  # p = 3 / 4

        def forward(self, x):
            return F.pad(self.only(x), (0, 1))

    found = hessian_trace(
        OneWeight(), Split(torch.ones(4, 1), torch.tensor([0, 0, 1, 0])), probes=1
    )
    assert found["only"].trace == pytest.approx(3 / 16, rel=1e-5)
    assert math.isnan(found["only"].standard_error)
    assert found["only"].mean_curvature == found["only"].trace


def test_the_estimate_is_the_exact_trace_within_its_own_error():
    model, split = tiny()
    exact = exact_traces(model, split)
    found = hessian_trace(model, split, probes=500, seed=3)
    assert list(found) == ["0", "3", "5"]
    for name, estimate in found.items():
        assert abs(estimate.trace - exact[name]) < 4 * estimate.standard_error
        assert estimate.standard_error < 0.05 * abs(exact[name])
    assert [estimate.weights for estimate in found.values()] == [18, 32, 12]


def test_batches_are_weighed_by_their_examples():
    model, split = tiny()
    # Over 250 examples there are two batches; each example stands there as often as the others.
    many = Split(split.inputs.repeat(10, 1, 1, 1), split.targets.repeat(10))
    few = hessian_trace(model, split, probes=5)
    for name, estimate in hessian_trace(model, many, probes=5).items():
        assert estimate.trace == pytest.approx(few[name].trace, rel=1e-4)


def test_more_probes_have_a_smaller_error_and_one_seed_gives_one_result():
    model, split = tiny()
    few, many = (hessian_trace(model, split, probes=n, layers=["0"])["0"] for n in (50, 800))
    assert many.standard_error == pytest.approx(few.standard_error / 4, rel=0.5)
    again = hessian_trace(model, split, probes=50, layers=["0"])
    assert again["0"] == few
    other = hessian_trace(model, split, probes=50, layers=["0"], seed=1)
    assert other["0"] != few


def test_measuring_leaves_the_model_and_the_random_stream_alone():
    with seeded(0):
        model = ResNet8((1, 8, 8), width=2)
    prepare_(model, num_bits=4)
    split = Split(torch.rand(12, 1, 8, 8), torch.arange(12) % 10)
    before, stream = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    model.requires_grad_(False)
    model.train()
    with torch.no_grad():  # gradients are on inside, whatever the caller has switched off
        found = hessian_trace(model, split, probes=2, layers=["fc", "conv"])
    assert list(found) == ["conv", "fc"]
    assert found["fc"].trace != 0
    assert torch.equal(torch.get_rng_state(), stream)
    assert model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_loss_that_does_not_depend_on_a_weight_has_no_curvature():
    class Blind(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.used = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x)

    found = hessian_trace(Blind(), Split(torch.ones(3, 2), torch.tensor([0, 1, 0])), probes=3)
    assert found["unused"].trace == 0
    assert found["used"].trace > 0


def test_the_proxy_is_the_mean_curvature_times_the_squared_error():
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    model[0].weight.data = torch.tensor([[0.1, 1.0], [0.0, -1.0]])
    # 2 bits, one scale: the grid is -2 -1 0 1 times 1. Only 0.1 is off it, by 0.1.
    traces = {"0": LayerTrace(12.0, 0.1, 4)}
    found = trace_proxy(model, traces, bits=[2], granularity=PerTensor())
    assert found["0"][2] == pytest.approx(3 * 0.01, rel=1e-5)


def test_the_proxy_uses_the_settings_and_falls_with_the_width():
    model, _ = tiny()
    traces = {"3": LayerTrace(32.0, 0.1, 32)}
    settings = {"range_rule": MeanSquared(20), "symmetric": False}
    found = trace_proxy(model, traces, bits=(2, 4, 8), granularity=PerTensor(), **settings)
    weight = model[3].weight.detach()
    rounded = quantize_tensor(weight, 4, PerTensor(), **settings).dequantize()
    assert found["3"][4] == pytest.approx(float((rounded - weight).square().sum()), rel=1e-5)
    assert found["3"][2] > found["3"][4] > found["3"][8] > 0
    # A model that is quantized already has the same weights behind its quantizers.
    prepare_(model, num_bits=2)
    again = trace_proxy(model, traces, bits=(2, 4, 8), granularity=PerTensor(), **settings)
    assert again == found


def test_what_is_refused():
    model, split = tiny()
    with says(ValueError, "probes must be a whole number of at least 1, got 0."):
        hessian_trace(model, split, probes=0)
    with says(ValueError, "seed must be a whole number of at least 0, got -1."):
        hessian_trace(model, split, seed=-1)
    with says(ValueError, "split must hold at least one example, got an empty split."):
        hessian_trace(model, Split(split.inputs[:0], split.targets[:0]))
    with says(ValueError, "layers must be one of '0', '3' or '5', got '9'."):
        hessian_trace(model, split, layers=["9"])
    with says(ValueError, "bits must rise, at least one, got [4, 2]. Try [2, 4, 8]."):
        trace_proxy(model, {"0": LayerTrace(1.0, 0.1, 18)}, bits=[4, 2])
    model[0].weight.data.fill_(1e30)
    model[3].weight.data.fill_(1e30)
    with pytest.raises(ValueError, match="second derivative of the loss must be finite, got"):
        hessian_trace(nn.Sequential(*model[:1], model[2:]), split)

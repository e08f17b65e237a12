"""Widths for a byte budget: the written file, optimality, channels, what is refused."""

import copy
import itertools
import re

import pytest
import torch
from torch import nn

from lwlab import packing
from lwlab.data import Split
from lwlab.measure import Accuracy, accuracy, predictions
from lwlab.models import SimpleCNN, layer_names, seeded
from lwlab.quantize.granularity import PerGroup, PerTensor
from lwlab.quantize.mixed.allocation import ENOUGH, allocate_bits
from lwlab.quantize.mixed.bit_point import BitPoint
from lwlab.quantize.mixed.costs import layer_costs
from lwlab.quantize.mixed.sensitivity import scan_bits
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity
from lwlab.quantize.observers import MeanSquared
from lwlab.quantize.preparing import prepare_


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture(scope="module")
def scanned():
    """A network of noise with most weights in one layer, and a scan of it."""
    model = SimpleCNN((1, 8, 8), width=4, hidden=64)
    with seeded(1):
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
        inputs = torch.randn(200, 1, 8, 8)
    split = Split(inputs, predictions(model, inputs))
    *_, sensitivity = scan_bits(model, split, bits=(2, 4, 8))
    return model, split, sensitivity


def file_of(model, bits, **settings):
    other = copy.deepcopy(model)
    prepare_(other, num_bits=bits, **settings)
    return other, packing.to_bytes(other)


def uniform_size(model, width, **settings):
    return len(file_of(model, width, **settings)[1])


def budgets(model, count=4, low=2, high=8):
    smallest, largest = uniform_size(model, low), uniform_size(model, high)
    return [smallest + (largest - smallest) * i // count for i in range(count + 1)]


@pytest.mark.parametrize("place", range(5))
def test_the_written_file_meets_the_budget_uses_it_and_is_as_good_as_one_width(scanned, place):
    model, split, sensitivity = scanned
    target = budgets(model)[place]
    plan = allocate_bits(sensitivity, model, target_bytes=target, split=split)
    prepared, file = file_of(model, plan.bits)
    assert len(file) == plan.size_bytes <= target == plan.target_bytes
    assert plan.used >= ENOUGH
    assert plan.accuracy == accuracy(prepared, split)
    plain = SimpleCNN((1, 8, 8), width=4, hidden=64)
    packing.from_bytes_(plain, file)
    assert accuracy(plain, split) == plan.accuracy
    for width in sensitivity.bits:
        other, other_file = file_of(model, width)
        if len(other_file) <= target:
            assert plan.accuracy.correct >= accuracy(other, split).correct


def test_by_whole_layers_it_is_what_trying_all_finds(scanned):
    model, _, sensitivity = scanned
    costs = {cost.layer: cost for cost in layer_costs(sensitivity, model, {})}
    found = {}
    for widths in itertools.product(sensitivity.bits, repeat=4):
        bits = dict(zip(sensitivity.layers, widths, strict=True))
        loss = sum(costs[n].losses[costs[n].bits.index(w)] for n, w in bits.items())
        found[widths] = (len(file_of(model, bits)[1]), loss)
    for target in budgets(model, 3)[:3]:
        plan = allocate_bits(sensitivity, model, target_bytes=target, by_channel=False)
        best = min(loss for size, loss in found.values() if size <= target)
        assert plan.predicted_loss == pytest.approx(best, rel=1e-4)
        assert found[tuple(plan.bits.values())][0] == plan.size_bytes
        assert plan.strategy in {"layers", "one width"}


def test_channels_lose_less_than_layers_and_hardly_more_than_the_bound(scanned):
    model, _, sensitivity = scanned
    for target in budgets(model)[1:4]:
        layers = allocate_bits(sensitivity, model, target_bytes=target, by_channel=False)
        channels = allocate_bits(sensitivity, model, target_bytes=target)
        assert channels.loss_bound <= channels.predicted_loss * (1 + 1e-9)
        assert channels.predicted_loss <= layers.predicted_loss * (1 + 1e-9)
        assert channels.predicted_loss < 1.02 * channels.loss_bound
        assert not channels.is_by_layer
        assert layers.is_by_layer


def test_more_bytes_than_all_need_give_the_widest_and_the_least_give_the_narrowest(scanned):
    model, split, sensitivity = scanned
    plan = allocate_bits(sensitivity, model, target_bytes=10**6, split=split)
    assert plan.bits == dict.fromkeys(layer_names(model), 8)
    smallest = uniform_size(model, 2)
    plan = allocate_bits(sensitivity, model, target_bytes=smallest, split=split)
    assert plan.bits == dict.fromkeys(layer_names(model), 2)
    assert plan.size_bytes == smallest


def test_a_layer_that_bears_nothing_keeps_its_bits():
    with seeded(0):
        model = nn.Sequential(nn.Linear(50, 40), nn.Linear(40, 50))
    points = {"0": {2: 9.0, 8: 0.0}, "1": {2: 0.1, 8: 0.0}}
    rows = tuple(
        tuple(BitPoint(Accuracy(5, 10), 0.0, loss) for loss in row.values())
        for row in points.values()
    )
    sensitivity = BitSensitivity(Accuracy(9, 10), ("0", "1"), (2, 8), rows)
    target = (uniform_size(model, 2) + uniform_size(model, 8)) // 2 + 60
    plan = allocate_bits(sensitivity, model, target_bytes=target, by_channel=False)
    assert plan.bits == {"0": 8, "1": 2}
    assert plan.predicted_loss == pytest.approx(0.1)


def test_settings_and_layers_that_were_not_scanned_count():
    with seeded(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 10))
        split = Split(torch.randn(60, 64), torch.randint(0, 10, (60,)))
    settings = {"range_rule": MeanSquared(10), "granularity": PerGroup(32), "symmetric": False}
    *_, sensitivity = scan_bits(model, split, layers=["1"], bits=(2, 8), **settings)
    target = 3000
    plan = allocate_bits(sensitivity, model, target_bytes=target, split=split, **settings)
    prepared, file = file_of(model, plan.bits, **settings)
    assert list(plan.bits) == ["1"]
    assert 0.95 * target < len(file) == plan.size_bytes <= target
    assert accuracy(prepared, split) == plan.accuracy


def test_the_model_and_the_scan_stay_as_they_are(scanned):
    model, split, sensitivity = scanned
    model = copy.deepcopy(model)
    prepare_(model, num_bits={"fc2": 3})
    model.train()
    before, text = copy.deepcopy(model.state_dict()), sensitivity.to_json()
    allocate_bits(sensitivity, model, target_bytes=6000, split=split)
    assert model.training
    assert sensitivity.to_json() == text
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_points_that_were_skipped_are_not_chosen(scanned):
    model, split, sensitivity = scanned
    rows = [list(row) for row in sensitivity.points]
    rows[2][0] = None  # fc1 at 2 bits
    short = BitSensitivity(
        sensitivity.baseline, sensitivity.layers, sensitivity.bits, tuple(map(tuple, rows))
    )
    smallest = len(file_of(model, {"conv1": 2, "conv2": 2, "fc1": 4, "fc2": 2})[1])
    plan = allocate_bits(short, model, target_bytes=smallest + 100, split=split)
    assert plan.bits["fc1"] == 4
    with says(
        ValueError,
        f"target_bytes must be at least {smallest:,}, the file with 2 and 4 bits everywhere, got "
        f"{smallest - 1:,}. Scan narrower widths, or prune first.",
    ):
        allocate_bits(short, model, target_bytes=smallest - 1)


def test_the_plan_shows_itself(scanned):
    model, split, sensitivity = scanned
    plan = allocate_bits(sensitivity, model, target_bytes=6000, split=split)
    lines = str(plan).splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert [line.split()[0] for line in lines[1:5]] == ["conv1", "conv2", "fc1", "fc2"]
    assert f"{plan.size_bytes:,} of 6,000 bytes used" in lines[-1]
    assert "fc1" in plan._repr_html_()
    assert sum(row.weights for row in plan.layers) == 36 + 288 + 2048 + 640


def test_what_is_refused(scanned):
    model, _, sensitivity = scanned
    smallest = uniform_size(model, 2)
    with says(
        ValueError,
        f"target_bytes must be at least {smallest:,}, the file with 2 bits everywhere, got 100. "
        f"Scan narrower widths, or prune first.",
    ):
        allocate_bits(sensitivity, model, target_bytes=100)
    with says(ValueError, "target_bytes must be a whole number of at least 1, got 0."):
        allocate_bits(sensitivity, model, target_bytes=0)
    with says(
        TypeError,
        "sensitivity must be a BitSensitivity, got dict. Try the last one that scan_bits yields.",
    ):
        allocate_bits({}, model, target_bytes=9000)
    with says(TypeError, "split must be a Split, got int. Try dataset.validation."):
        allocate_bits(sensitivity, model, target_bytes=9000, split=3)
    with says(
        ValueError,
        "granularity must be PerChannel() or PerGroup(size), with scales inside each output "
        "channel, where a layer has several widths, got PerTensor().",
    ):
        allocate_bits(sensitivity, model, target_bytes=9000, granularity=PerTensor())
    with says(ValueError, "layers must be one of '0', got 'conv1'."):
        allocate_bits(sensitivity, nn.Sequential(nn.Linear(2, 2)), target_bytes=9000)
    empty = BitSensitivity.empty(Accuracy(1, 2), sensitivity.layers, (2, 4))
    with says(
        ValueError,
        "sensitivity must hold a point of each layer, got none of 'conv1'. Let the scan go on.",
    ):
        allocate_bits(empty, model, target_bytes=9000)

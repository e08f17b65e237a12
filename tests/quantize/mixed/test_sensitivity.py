"""The scan of widths: points against a model prepared by hand, resuming, early exit, refusals."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.data import Split
from lwlab.measure import Accuracy, accuracy, predictions
from lwlab.models import SimpleCNN, seeded
from lwlab.quantize.granularity import PerTensor
from lwlab.quantize.mixed.sensitivity import BITS, scan_bits
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity
from lwlab.quantize.observers import MeanSquared, MinMax
from lwlab.quantize.preparing import current_bits, prepare_


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


@pytest.fixture(scope="module")
def case():
    """A network of noise, and a split of which it has nine in ten right."""
    model = SimpleCNN((1, 8, 8), width=4, hidden=16)
    with seeded(1):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
        inputs = torch.randn(100, 1, 8, 8)
    targets = predictions(model, inputs)
    targets[::10] = (targets[::10] + 1) % 10
    return model, Split(inputs, targets)


def last(*args, **settings):
    *_, found = scan_bits(*args, **settings)
    return found


def test_each_point_is_a_model_with_one_layer_prepared(case):
    model, split = case
    settings = {"range_rule": MeanSquared(10), "granularity": PerTensor(), "symmetric": False}
    found = last(model, split, bits=(2, 5), layers=["fc1", "conv1"], **settings)
    assert (found.layers, found.bits, found.baseline) == (
        ("conv1", "fc1"),
        (2, 5),
        Accuracy(90, 100),
    )
    before = model(split.inputs).double()
    for layer in found.layers:
        for width in found.bits:
            other = copy.deepcopy(model)
            prepare_(other, num_bits={layer: width}, **settings)
            point, after = found.point_at(layer, width), other(split.inputs).double()
            assert point.accuracy == accuracy(other, split)
            p, q = before.softmax(1), after.softmax(1)
            divergence = (p * (p / q).log()).sum(1).mean()
            increase = F.cross_entropy(after, split.targets) - F.cross_entropy(
                before, split.targets
            )
            assert point.divergence == pytest.approx(divergence.item(), rel=1e-3)
            assert point.loss_increase == pytest.approx(increase.item(), rel=1e-3, abs=1e-5)
            assert found.drop_at(layer, width) == pytest.approx(0.9 - point.accuracy.value)


def test_two_classes_by_hand():
    # Weights 1 and 0.6 on one scale of 2 bits become 1 and 1: logits (1, 0.6) become (1, 1).
    model = nn.Sequential(nn.Linear(1, 2, bias=False))
    model[0].weight.data = torch.tensor([[1.0], [0.6]])
    found = last(model, Split(torch.ones(4, 1), torch.tensor([0, 0, 1, 0])), bits=[2],
                 granularity=PerTensor())  # fmt: skip
    p = 1 / (1 + torch.tensor(-0.4).exp())
    assert found.baseline == Accuracy(3, 4)
    point = found.point_at("0", 2)
    assert point.accuracy == Accuracy(3, 4)
    assert point.divergence == pytest.approx(float(p * (2 * p).log() + (1 - p) * (2 - 2 * p).log()))
    before = -(0.75 * p.log() + 0.25 * (1 - p).log())
    assert point.loss_increase == pytest.approx(float(torch.tensor(2.0).log() - before))


def test_it_goes_layer_by_layer_from_the_widest_and_each_yield_has_one_point_more(case):
    model, split = case
    tables = list(scan_bits(model, split, bits=(2, 4, 8)))
    assert [table.done for table in tables] == list(range(13))
    assert tables[0].total == 12
    assert tables[1].point_at("conv1", 8)
    assert tables[2].point_at("conv1", 4)
    assert not tables[2].point_at("conv1", 2)
    assert BITS == (2, 3, 4, 6, 8)


def test_8_bits_diverge_far_less_than_2(case):
    model, split = case
    found = last(model, split)
    for row in found.points:
        divergences = [point.divergence for point in row]
        assert divergences[-1] < divergences[0] / 100


def test_a_scan_goes_on_where_it_stopped(case):
    model, split = case
    tables = list(scan_bits(model, split, bits=(2, 4)))
    again = list(scan_bits(model, split, bits=(2, 4), known=tables[3]))
    assert again == tables[3:]
    assert list(scan_bits(model, split, bits=(2, 4), known=tables[-1])) == [tables[-1]]


def test_narrower_widths_are_skipped_after_one_that_fell_too_far(case):
    model, split = case
    whole = last(model, split)
    short = last(model, split, tolerance=0.1)
    assert short.done == short.total
    skipped = 0
    for layer in whole.layers:
        for narrow, wide in zip(BITS, (*BITS[1:], None), strict=True):
            fell = [w for w in BITS if w > narrow and whole.drop_at(layer, w) > 0.1 + 1e-9]
            assert (short.point_at(layer, narrow) is None) == bool(fell), (narrow, wide)
            skipped += bool(fell)
    assert skipped


def test_other_layers_and_the_model_stay_as_they_came(case):
    model, split = copy.deepcopy(case[0]), case[1]
    prepare_(model, num_bits={"conv1": 3, "fc2": (2,) * 10})
    before = copy.deepcopy(model.state_dict())
    found = last(model, split, bits=(4, 8))
    assert current_bits(model) == {"conv1": 3, "fc2": (2,) * 10}
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    other = copy.deepcopy(model)
    prepare_(other, num_bits={"fc1": 4})  # scanned after conv1, which has its 3 bits again
    assert found.point_at("fc1", 4).accuracy == accuracy(other, split)
    assert found.baseline == accuracy(model, split)


def test_a_model_that_is_one_layer(case):
    layer = nn.Linear(64, 10)
    split = Split(case[1].inputs.flatten(1), case[1].targets)
    assert last(layer, split, bits=[4]).layers == ("model",)


def test_nothing_runs_before_the_first_value_but_arguments_are_checked(case):
    model, split = case
    with says(ValueError, "bits must rise, at least one, got [4, 2]. Try [2, 4, 8]."):
        scan_bits(model, split, bits=(4, 2))
    with says(ValueError, "bits must be a whole number from 1 to 8, got 9."):
        scan_bits(model, split, bits=(4, 9))
    with says(ValueError, "tolerance must be a fraction in [0, 1], got 5.0. Did you mean 0.05?"):
        scan_bits(model, split, tolerance=5)
    with says(ValueError, "layers must be one of 'conv1', 'conv2', 'fc1' or 'fc2', got 'fc9'. "
              "Did you mean 'fc2'?"):  # fmt: skip
        scan_bits(model, split, layers=["fc9"])
    with pytest.raises(TypeError, match="range_rule must be an observer such as MinMax"):
        scan_bits(model, split, range_rule=MinMax)
    with says(TypeError, "known must be a BitSensitivity, got dict."):
        scan_bits(model, split, known={})
    known = BitSensitivity.empty(Accuracy(1, 100), ("conv1", "conv2", "fc1", "fc2"), (2, 4))
    with says(
        ValueError, "known must be of the same bits, 2, 8, got 2, 4. Leave it out to begin anew."
    ):
        scan_bits(model, split, bits=(2, 8), known=known)
    with says(
        ValueError,
        "known must be of the same model and split, with 90 of 100 right before quantizing, got 1 "
        "of 100. Leave it out to begin anew.",
    ):
        next(scan_bits(model, split, bits=(2, 4), known=known))


def test_logits_that_are_not_finite_are_named(case):
    model, split = copy.deepcopy(case[0]), case[1]
    model.fc2.bias.data[3] = torch.inf
    with says(
        ValueError,
        "logits of the model must be finite, got 100 NaN or infinite of 1000 values (the first at "
        "index (0, 3)).",
    ):
        next(scan_bits(model, split))

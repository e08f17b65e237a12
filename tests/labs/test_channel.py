import copy
import re

import pytest
import torch
from torch import nn

from lwlab import measure, packing, prune
from lwlab.labs import ChannelLab
from lwlab.models import ResNet8, SimpleCNN

LONG = 60


@pytest.fixture
def lab(trained, digits):
    made = ChannelLab(trained, digits, pruning_ratio=0.25)
    assert made.wait(LONG)
    return made


def figures(lab):
    return [figure.to_dict()["data"] for figure in lab.live.screen.figures]


def test_the_result_is_that_of_the_smaller_network(lab, trained, digits):
    example = digits.validation.inputs[:1]
    small = prune.remove_channels(trained, pruning_ratio=0.25, example_inputs=example)
    result = lab.result
    assert result.accuracy == measure.accuracy(small, digits.validation)
    assert result.size_bytes == len(packing.to_bytes(small))
    assert result.costs.parameters == measure.num_parameters(small)
    assert result.costs.macs == measure.macs(small, digits.input_shape)
    assert result.costs.latency.batch_size == 64


def test_the_smaller_network_on_screen_can_be_taken_and_the_model_is_as_it_was(lab, trained):
    before = copy.deepcopy(trained.state_dict())
    small = lab.pruned_model()
    assert small.conv1.out_channels == 6  # of 8, a quarter gone
    with torch.no_grad():
        small.conv1.weight.zero_()
    assert lab.pruned_model().conv1.weight.abs().sum() > 0
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [{"pruning_ratio": 0.5}, {"criterion": "random"}, {"criterion": "activation entropy"},
     {"scope": "global"}],
    ids=str,
)  # fmt: skip
def test_every_control_changes_the_result_and_the_screen(lab, change):
    before, drawn, code = lab.result, figures(lab), lab.live.screen.code
    ((name, value),) = change.items()
    lab.controls[name].value = value
    assert lab.wait(LONG)
    assert lab.error is None
    assert getattr(lab.params, name) == value
    kept = [group.kept.tolist() for group in lab.result.plan.groups]
    assert kept != [group.kept.tolist() for group in before.plan.groups]
    assert figures(lab) != drawn
    assert lab.live.screen.code != code


def test_nothing_is_removed_at_ratio_0(lab, trained, digits):
    lab.set(pruning_ratio=0.0)
    assert lab.wait(LONG)
    assert lab.error is None
    assert lab.result.accuracy == measure.accuracy(trained, digits.validation)
    assert lab.result.costs.parameters == measure.num_parameters(trained)


@pytest.mark.parametrize("criterion", ["filter norm", "random", "activation entropy"])
def test_the_code_of_a_state_repeats_it(lab, trained, digits, criterion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lab.set(criterion=criterion, scope="global")
    assert lab.wait(LONG)
    scope = {"model": trained, "dataset": digits}
    exec(lab.live.screen.code, scope)
    assert measure.accuracy(scope["small"], digits.validation) == lab.result.accuracy
    assert (tmp_path / "small.lwlab").stat().st_size == lab.result.size_bytes


def test_groups_costs_and_refusals_are_on_screen(lab):
    groups, tradeoff = lab.live.screen.figures
    assert list(groups.layout.yaxis.ticktext) == ["conv1", "conv2", "fc1", "fc2"]
    assert [trace.name for trace in tradeoff.data] == ["before", "now"]
    details = lab.live.screen.details
    for name in ("parameters", "multiply-accumulates", "time, 64 examples", "file"):
        assert f"<th>{name}" in details
    assert "<b>fc2</b>: its outputs are the model&#x27;s outputs" in details


def test_a_network_with_shortcuts_shows_what_its_groups_pass_through(digits):
    lab = ChannelLab(ResNet8(digits.input_shape, width=4), digits)
    assert lab.wait(LONG)
    assert lab.error is None
    rows = lab.live.screen.figures[0].layout.yaxis.ticktext
    assert list(rows[:3]) == ["conv", "bn", "stack1.conv1"]


def test_what_cannot_be_cut_is_refused_with_its_reason(digits):
    only = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    sentence = (
        "model must have channels that can be removed, got none: "
        "1: its outputs are the model's outputs."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ChannelLab(only, digits)
    with pytest.raises(ValueError, match=re.escape("pruning_ratio must be a fraction in [0, 1)")):
        ChannelLab(SimpleCNN(), digits, pruning_ratio=30)

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.models import ResNet8, SimpleCNN
from lwlab.prune.channels import Edge, Node, plan_channels
from lwlab.prune.masking import mask_model_

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def plan(model, ratio=0.5, inputs=IMAGES, **kwargs):
    return plan_channels(model, pruning_ratio=ratio, example_inputs=inputs, **kwargs)


def groups_of(found):
    return {g.name: (g.channels, g.producers, g.followers, g.consumers) for g in found.groups}


def refusals_of(found):
    return {refusal.layer: refusal.reason for refusal in found.refusals}


def test_a_residual_sum_couples_what_it_adds():
    found = plan(ResNet8(width=4))
    assert groups_of(found) == {
        "conv": (
            4,
            ("conv", "stack1.conv2"),
            ("bn", "stack1.bn2"),
            ("stack1.conv1", "stack2.conv1", "stack2.shortcut"),
        ),
        "stack1.conv1": (4, ("stack1.conv1",), ("stack1.bn1",), ("stack1.conv2",)),
        "stack2.conv1": (8, ("stack2.conv1",), ("stack2.bn1",), ("stack2.conv2",)),
        "stack2.conv2": (
            8,
            ("stack2.conv2", "stack2.shortcut"),
            ("stack2.bn2",),
            ("stack3.conv1", "stack3.shortcut"),
        ),
        "stack3.conv1": (16, ("stack3.conv1",), ("stack3.bn1",), ("stack3.conv2",)),
        "stack3.conv2": (16, ("stack3.conv2", "stack3.shortcut"), ("stack3.bn2",), ("fc",)),
    }
    assert refusals_of(found) == {"fc": "its outputs are the model's outputs"}


def test_attention_and_the_residual_stream_are_refused_and_the_mlps_are_cut(build_network):
    found = plan(*[build_network("Transformer")[0], 0.5, build_network("Transformer")[1]])
    assert groups_of(found) == {
        "mlp.0": (32, ("mlp.0",), (), ("mlp.2",)),
        "gate": (24, ("gate", "value"), (), ("back",)),
    }
    joined = "it is joined with 'position', which cannot be cut"
    assert refusals_of(found) == {
        "embed": joined,
        "attention": "MultiheadAttention is not known here",
        "attention.out_proj": ("its weight is used by the function multi_head_attention_forward"),
        "mlp.2": joined,
        "back": joined,
        "head": "its outputs are the model's outputs",
    }


def test_a_grouped_convolution_loses_equally_many_in_each_group(build_network):
    model, inputs = build_network("ResNeXt")
    groups = {group.name: group for group in plan(model, 0.4, inputs).groups}
    for name, width in (("narrow.0", 6), ("grouped.0", 4)):
        counts = torch.bincount(groups[name].kept // width, minlength=4)
        assert counts.tolist() == [width - round(0.4 * width)] * 4
    assert groups["stem.0"].removed == round(0.4 * 16)


def test_ratios_may_go_by_any_name_of_a_group():
    found = plan(ResNet8(width=4), {"stack1.conv2": 0.5, "stack3.conv1": 0.25})
    assert {g.name: g.removed for g in found.groups} == {"conv": 2, "stack3.conv1": 4}


def test_layers_choose_groups_and_others_stay_out_of_the_plan():
    found = plan(ResNet8(width=4), layers=["stack2.shortcut"])
    assert [(g.name, g.removed) for g in found.groups] == [("stack2.conv2", 4)]


def test_a_ratio_of_zero_plans_nothing():
    found = plan(SimpleCNN((3, 8, 8)), 0)
    assert found.cuts == ()
    assert found.parameters_after == found.parameters_before
    assert [group.removed for group in found.groups] == [0, 0, 0]


def test_global_removes_the_lowest_of_all_groups_together(written):
    model = written(
        lambda m, x: m.three(m.two(m.one(x))),
        one=nn.Linear(1, 4),
        two=nn.Linear(4, 4),
        three=nn.Linear(4, 2),
    )
    with torch.no_grad():
        model.one.weight[:, 0] = torch.tensor([1.0, 1, 1, 5])  # over the mean: 1/2 1/2 1/2 5/2
        model.two.weight.copy_(torch.eye(4))  # read alike, and filters of one length
        model.three.weight.fill_(1.0)  # read alike
    found = plan(model, 0.5, torch.ones(2, 1), scope="global")
    assert [group.kept.tolist() for group in found.groups] == [[3], [1, 2, 3]]


def test_masks_count_as_the_zeros_that_they_are():
    model = SimpleCNN((3, 8, 8), width=4)
    mask = torch.ones_like(model.conv1.weight, dtype=torch.bool)
    mask_model_(model, sparsity={"conv1": 0.5})
    masks = model.conv1.parametrizations.weight[0].mask
    masks.copy_(mask)
    masks[[1, 2]] = False
    assert plan(model).groups[0].kept.tolist() == [0, 3]


def test_the_model_is_left_as_it_was(build_network, unchanged):
    model, inputs = build_network("MobileNet")
    model.train()
    model.features[0].eval()
    with unchanged(model):
        plan(model, 0.5, inputs)
        plan(model, 0.5, inputs, scope="global")


def test_a_drawing_has_layers_in_order_and_the_kind_of_each_connection(written):
    model = written(
        lambda m, x: m.fc(F.relu(torch.cat([m.bn(m.a(x)) + m.b(x), m.c(x)], 1)).flatten(1)),
        a=nn.Conv2d(3, 4, 1),
        bn=nn.BatchNorm2d(4),
        b=nn.Conv2d(3, 4, 1),
        c=nn.Conv2d(3, 2, 1),
        fc=nn.Linear(384, 2),
    )
    found = plan(model)
    assert found.nodes == (
        Node("a", "Conv2d", "a"),
        Node("bn", "BatchNorm2d", "a"),
        Node("b", "Conv2d", "a"),
        Node("c", "Conv2d", "c"),
        Node("fc", "Linear", None),
    )
    assert Edge("a", "bn", "follows") in found.edges
    assert {edge for edge in found.edges if edge.target == "fc"} == {
        Edge("bn", "fc", "flatten"),
        Edge("b", "fc", "flatten"),
        Edge("c", "fc", "flatten"),
    }
    merged = written(
        lambda m, x: m.d(torch.cat([m.a(x) * 2, m.b(x) - m.c(x)], 1)).mean((2, 3)),
        a=nn.Conv2d(3, 4, 1),
        b=nn.Conv2d(3, 4, 1),
        c=nn.Conv2d(3, 4, 1),
        d=nn.Conv2d(8, 2, 1),
    )
    assert {edge.kind for edge in plan(merged).edges} == {"concat"}


SMALL = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
ROW = torch.ones(2, 3)
WRONG = {
    "percent": (
        {"pruning_ratio": 30},
        ValueError("pruning_ratio must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"),
    ),
    "one": (
        {"pruning_ratio": 1.0},
        ValueError("pruning_ratio must be a fraction in [0, 1), got 1.0."),
    ),
    "a text": (
        {"pruning_ratio": "0.5"},
        TypeError("pruning_ratio must be a fraction in [0, 1), got '0.5'."),
    ),
    "percent of a layer": (
        {"pruning_ratio": {"0": 30}},
        ValueError(
            "pruning_ratio of layer '0' must be a fraction in [0, 1), got 30.0. Did you mean 0.3?"
        ),
    ),
    "unknown layer": (
        {"pruning_ratio": {"7": 0.5}},
        ValueError("pruning_ratio must name layers whose outputs can be cut, 0, 2, got '7'."),
    ),
    "no layer": (
        {"pruning_ratio": {}},
        ValueError("pruning_ratio must name at least one layer, got an empty dict."),
    ),
    "refused layer": (
        {"layers": ["4"]},
        ValueError(
            "layers must name layers that can be cut, got '4': its outputs are the model's outputs."
        ),
    ),
    "text for layers": (
        {"layers": "0"},
        TypeError("layers must be a list of names, got '0'. Try ['0']."),
    ),
    "no layers": (
        {"layers": []},
        ValueError("layers must name at least one layer, got none. Leave it out for all."),
    ),
    "dict and layers": (
        {"pruning_ratio": {"0": 0.5}, "layers": ["0"]},
        ValueError("layers must be left out with a dict as pruning_ratio, which names them."),
    ),
    "dict and global": (
        {"pruning_ratio": {"0": 0.5}, "scope": "global"},
        ValueError("scope must be 'layer' with a dict as pruning_ratio, got 'global'."),
    ),
    "scope": (
        {"scope": "layers"},
        ValueError("scope must be one of 'layer' or 'global', got 'layers'. Did you mean 'layer'?"),
    ),
    "no inputs": (
        {"example_inputs": None},
        TypeError(
            "example_inputs must be a tensor, or a tuple or dict of inputs with one, got NoneType."
        ),
    ),
    "wrong inputs": (
        {"example_inputs": torch.ones(2, 5)},
        ValueError(
            "example_inputs must be inputs that the model accepts, got shape (2, 5): RuntimeError: "
            "mat1 and mat2 shapes cannot be multiplied (2x5 and 3x4)"
        ),
    ),
}


@pytest.mark.parametrize(("change", "error"), WRONG.values(), ids=WRONG)
def test_each_wrong_wish_has_its_sentence(change, error, unchanged):
    arguments = {"pruning_ratio": 0.5, "example_inputs": ROW, **change}
    with unchanged(SMALL), pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        plan_channels(SMALL, **arguments)


def test_different_ratios_for_one_group_are_refused():
    sentence = (
        "pruning_ratio must be equal for conv, stack1.conv2, which are cut together, got 0.5 and "
        "0.25."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        plan(ResNet8(width=4), {"conv": 0.5, "stack1.conv2": 0.25})


def test_a_model_with_nothing_to_cut_is_refused_with_the_reasons():
    sentence = (
        "model must have channels that can be removed, got none: 0: it has one channel left; 2: "
        "its outputs are the model's outputs."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        plan(nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(64, 2)))
    sentence = (
        "model must have channels that can be removed, got none: no layer of torch.nn was called."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        plan(nn.ReLU())

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from lwlab.models import ResNet8, SimpleCNN
from lwlab.prune.channels import plan_channels, remove_channels, zero_channels_
from lwlab.prune.masking import bake_, mask_model_

ROW = torch.tensor([[1.0, 2.0]])


def two_layers():
    """Rows of norm 5, 1 and 2: at a third, the middle one goes."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 4], [0, -1], [2, 0]]))
        model[0].bias.copy_(torch.tensor([1.0, 2, 3]))
        model[2].weight.copy_(torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
        model[2].bias.copy_(torch.tensor([7.0, 8]))
    return model


def test_a_hand_worked_cut_leaves_the_expected_tensors():
    smaller = remove_channels(two_layers(), pruning_ratio=1 / 3, example_inputs=ROW)
    assert smaller[0].weight.tolist() == [[3, 4], [2, 0]]
    assert smaller[0].bias.tolist() == [1, 3]
    assert smaller[2].weight.tolist() == [[1, 3], [4, 6]]
    assert smaller[2].bias.tolist() == [7, 8]
    assert (smaller[0].in_features, smaller[0].out_features) == (2, 2)
    assert (smaller[2].in_features, smaller[2].out_features) == (2, 2)
    # relu(3 + 8 + 1, 2 + 3) = (12, 5);  12 + 15 + 7 = 34;  48 + 30 + 8 = 86
    assert smaller(ROW).tolist() == [[34, 86]]


def test_its_twin_has_zeros_in_rows_biases_and_columns():
    model = two_layers()
    zero_channels_(model, plan_channels(model, pruning_ratio=1 / 3, example_inputs=ROW))
    assert model[0].weight.tolist() == [[3, 4], [0, 0], [2, 0]]
    assert model[0].bias.tolist() == [1, 0, 3]
    assert model[2].weight.tolist() == [[1, 0, 3], [4, 0, 6]]
    assert model[2].bias.tolist() == [7, 8]
    assert model(ROW).tolist() == [[34, 86]]


def test_a_linear_layer_after_flatten_loses_all_inputs_of_a_channel():
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Flatten(), nn.Linear(12, 1))
    with torch.no_grad():
        model[2].weight.copy_(torch.arange(12.0)[None])
    scores = {"0": torch.tensor([2.0, 1, 3])}
    smaller = remove_channels(
        model, pruning_ratio=0.3, example_inputs=torch.ones(1, 1, 2, 2), importance=scores
    )
    assert smaller[2].weight.tolist() == [[0, 1, 2, 3, 8, 9, 10, 11]]


def test_a_grouped_convolution_keeps_its_groups_and_the_right_columns():
    model = nn.Sequential(nn.Conv1d(1, 4, 1), nn.Conv1d(4, 4, 1, groups=2), nn.Conv1d(4, 1, 1))
    with torch.no_grad():
        model[0].weight[:, 0, 0] = torch.tensor([1.0, 2, 4, 3])  # 0 and 3 go
        model[1].weight[:, :, 0] = torch.tensor([[1.0, 2], [30, 40], [50, 60], [7, 8]])
        model[2].weight[0, :, 0] = torch.tensor([1.0, 2, 3, 4])
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=torch.ones(1, 1, 2))
    assert smaller[0].weight.flatten().tolist() == [2, 4]
    assert smaller[1].weight[:, :, 0].tolist() == [[40], [50]]
    assert (smaller[1].groups, smaller[1].in_channels, smaller[1].out_channels) == (2, 2, 2)
    assert smaller[2].weight.flatten().tolist() == [2, 3]


def test_bookkeeping_of_every_kind_of_layer_is_right(build_network):
    model, inputs = build_network("MobileNet")
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=inputs)
    depthwise = smaller.features[3][0]
    assert (depthwise.in_channels, depthwise.out_channels, depthwise.groups) == (8, 16, 8)
    assert smaller.features[3][1].num_features == 16
    assert smaller.head[2].in_features == 8
    model, inputs = build_network("Sound")
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=inputs)
    assert smaller.norm1.num_features == 6
    assert (smaller.norm3.num_channels, smaller.norm3.num_groups) == (6, 6)


def test_flags_buffers_dtype_and_classes_are_kept():
    model = ResNet8(width=4).double().train()
    model.bn.eval()
    model.conv.weight.requires_grad_(False)
    model.register_buffer("extra", torch.arange(3))
    inputs = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=inputs)
    assert type(smaller) is ResNet8
    flags = [(type(module), module.training) for module in model.modules()]
    assert [(type(module), module.training) for module in smaller.modules()] == flags
    needed = {name: p.requires_grad for name, p in model.named_parameters()}
    assert {name: p.requires_grad for name, p in smaller.named_parameters()} == needed
    assert {p.dtype for p in smaller.parameters()} == {torch.float64}
    assert torch.equal(smaller.extra, model.extra)
    assert smaller.state_dict().keys() == model.state_dict().keys()
    assert all(isinstance(p, nn.Parameter) for p in smaller.parameters())


@pytest.mark.parametrize("name", ["ResNet8", "U-Net", "Transformer", "Twice"])
def test_the_original_is_left_to_the_bit_and_shares_no_memory(build_network, unchanged, name):
    model, inputs = build_network(name)
    model.train()
    handle = model.register_forward_hook(lambda *_: None)
    before = inputs.clone()
    with unchanged(model):
        smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=inputs)
        with torch.no_grad():
            for tensor in [*smaller.parameters(), *smaller.buffers()]:
                tensor.zero_()
    handle.remove()
    assert torch.equal(inputs, before)


def test_masks_are_made_permanent_in_the_smaller_model():
    model = SimpleCNN(width=4)
    mask_model_(model, sparsity=0.5)
    smaller = remove_channels(model, pruning_ratio=0.25, example_inputs=torch.randn(2, 1, 8, 8))
    assert not any("parametrizations" in name for name in smaller.state_dict())
    assert any("parametrizations" in name for name in model.state_dict())
    plain = copy.deepcopy(model)
    bake_(plain)
    expected = remove_channels(plain, pruning_ratio=0.25, example_inputs=torch.randn(2, 1, 8, 8))
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, smaller.state_dict()[name])


def test_a_plan_gives_the_same_model_as_its_arguments():
    model, inputs = SimpleCNN(width=4), torch.randn(2, 1, 8, 8)
    plan = plan_channels(model, pruning_ratio=0.5, example_inputs=inputs, scope="global")
    one = remove_channels(model, plan=plan)
    other = remove_channels(model, pruning_ratio=0.5, example_inputs=inputs, scope="global")
    assert torch.equal(one(inputs), other(inputs))


def test_a_smaller_model_can_be_cut_again_until_one_channel_is_left():
    model, inputs = ResNet8(width=4), torch.randn(2, 3, 8, 8)
    while model.stack3.conv1.out_channels > 1:
        model = remove_channels(model, pruning_ratio=0.8, example_inputs=inputs)
    assert model(inputs).shape == (2, 10)
    with pytest.raises(
        ValueError, match=r"got none: conv: it has one channel left; stack1.conv1: "
    ):
        remove_channels(model, pruning_ratio=0.8, example_inputs=inputs)


def test_a_dependence_on_the_number_of_channels_out_of_sight_is_found_by_the_proof(written):
    model = written(
        lambda m, x: m.two(m.one(x) / m.one(x).shape[1] ** 0.5),
        one=nn.Linear(3, 8),
        two=nn.Linear(8, 2),
    )
    sentence = (
        "model must compute the same with channels removed as with channels at zero, got "
        "something else: forward must depend on the number of channels in a way that is not "
        "seen. Leave layers out: name the others in layers=[...]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        remove_channels(model, pruning_ratio=0.5, example_inputs=torch.ones(2, 3))


def test_a_result_that_does_not_run_is_not_returned(written):
    def forward(m, x):
        x = m.one(x)
        if x.shape[1] != 8:
            raise RuntimeError("eight are wanted")
        return m.two(x)

    model = written(forward, one=nn.Linear(3, 8), two=nn.Linear(8, 2))
    sentence = (
        "model must run once channels are removed, got RuntimeError: eight are wanted. Leave "
        "layers out: name the others in layers=[...]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        remove_channels(model, pruning_ratio=0.5, example_inputs=torch.ones(2, 3))


def test_a_model_that_draws_random_numbers_is_not_held_to_them(written):
    model = written(
        lambda m, x: m.two(nn.functional.dropout(m.one(x))),
        one=nn.Linear(3, 8),
        two=nn.Linear(8, 2),
    )
    smaller = remove_channels(model, pruning_ratio=0.5, example_inputs=torch.ones(2, 3))
    assert smaller.one.out_features == 4


PLAN = plan_channels(two_layers(), pruning_ratio=1 / 3, example_inputs=ROW)
WRONG = {
    "neither": (
        {},
        ValueError(
            "exactly one of pruning_ratio and plan must be given, got none. Try pruning_ratio=0.5."
        ),
    ),
    "both": (
        {"pruning_ratio": 0.5, "plan": PLAN},
        ValueError(
            "exactly one of pruning_ratio and plan must be given, got both. Try pruning_ratio=0.5."
        ),
    ),
    "no plan": ({"plan": 0.5}, TypeError("plan must be a ChannelPlan, got float.")),
}


@pytest.mark.parametrize(("arguments", "error"), WRONG.values(), ids=WRONG)
def test_each_wrong_call_has_its_sentence(arguments, error):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        remove_channels(two_layers(), example_inputs=ROW, **arguments)


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2)), "0"),
        (nn.Sequential(nn.Linear(2, 3)), "2"),
        (SimpleCNN(), "0"),
    ],
)
def test_the_plan_of_another_model_is_refused(model, layer, unchanged):
    sentence = (
        f"plan must be one of this model, got another number of channels of layer {layer!r}. "
        f"Make a new one with plan_channels."
    )
    for use in (lambda: remove_channels(model, plan=PLAN), lambda: zero_channels_(model, PLAN)):
        with unchanged(model), pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            use()


def test_zeros_cannot_be_written_behind_a_mask():
    model = two_layers()
    mask_model_(model, sparsity=0.5)
    sentence = (
        "layer '0' must be free of parametrizations to be zeroed, got one. Make it permanent "
        "first, a mask with prune.bake_."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        zero_channels_(model, PLAN)

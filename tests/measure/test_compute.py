import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lwlab.measure import call_macs, layer_macs, macs
from lwlab.measure.compute import call_macs as registry
from lwlab.models import LeNet5, LeNet300, ResNet8, SimpleCNN


def flops(model, example):
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(example)
    return counter.get_total_flops()


class TwiceThenNever(nn.Module):
    def __init__(self):
        super().__init__()
        self.twice, self.never = nn.Linear(6, 6), nn.Linear(6, 9)

    def forward(self, inputs):
        return self.twice(self.twice(inputs))


def test_simple_cnn_by_hand():
    assert layer_macs(SimpleCNN(), (1, 8, 8)) == {
        "conv1": 8 * 8 * 32 * 9,
        "conv2": 4 * 4 * 64 * 32 * 9,
        "fc1": 256 * 128,
        "fc2": 128 * 10,
    }
    assert macs(SimpleCNN(), (1, 8, 8)) == 347_392


def test_lenets_by_hand():
    assert macs(LeNet5(), (1, 28, 28)) == 24 * 24 * 20 * 25 + 8 * 8 * 50 * 500 + 400_000 + 5_000
    assert macs(LeNet300(), (1, 28, 28)) == 784 * 300 + 300 * 100 + 100 * 10


def test_resnet8_has_the_known_12_5_million():
    # MLPerf Tiny publishes 12.5 M; by hand: 442,368 + 4,718,592 + 2 x 3,670,016 + 640.
    assert macs(ResNet8(), (3, 32, 32)) == 12_501_632


LAYERS = {
    "linear": (nn.Linear(5, 7), (5,)),
    "linear over tokens": (nn.Linear(5, 7), (4, 5)),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 11)),
    "conv2d": (nn.Conv2d(3, 8, (3, 5), stride=(1, 2)), (3, 9, 11)),
    "grouped": (nn.Conv2d(4, 8, 3, groups=2), (4, 9, 9)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4, padding=1), (4, 9, 9)),
    "dilated": (nn.Conv2d(3, 8, 3, dilation=2), (3, 9, 9)),
    "conv3d": (nn.Conv3d(2, 4, 2), (2, 4, 5, 6)),
    "transposed1d": (nn.ConvTranspose1d(3, 5, 4, stride=2), (3, 7)),
    "transposed2d": (nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), (4, 5, 5)),
    "transposed3d": (nn.ConvTranspose3d(2, 3, 2), (2, 3, 4, 5)),
    "transposed grouped": (nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 5, 5)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_each_layer_has_half_the_flops_that_torch_counts(kind):
    layer, shape = LAYERS[kind]
    found = macs(layer, shape)
    assert layer_macs(layer, shape) == {"model": found}
    assert 2 * found == flops(layer, torch.zeros(1, *shape))


def test_a_grouped_transpose_by_hand():
    layer, shape = LAYERS["transposed grouped"]
    # Each of 4 x 5 x 5 input values is spread over 3 x 3 places of the 3 channels of its group.
    assert macs(layer, shape) == 100 * 9 * 3


@pytest.mark.parametrize("make", [SimpleCNN, LeNet5, LeNet300, ResNet8])
def test_networks_have_half_the_flops_that_torch_counts(make):
    model = make()
    assert 2 * macs(model, model.input_shape) == flops(model, torch.zeros(1, *model.input_shape))


def test_a_mask_saves_no_multiplication(make_model):
    assert macs(make_model("new masked"), (1, 8, 8)) == 347_392


def test_a_layer_used_twice_counts_twice_and_one_never_called_not_at_all():
    assert layer_macs(TwiceThenNever(), (6,)) == {"twice": 72, "never": 0}
    shared = nn.Linear(6, 6)
    assert layer_macs(nn.Sequential(shared, nn.ReLU(), shared), (6,)) == {"0": 72}


def test_a_layer_called_by_keyword_counts():
    class ByKeyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(2, 3, 2)

        def forward(self, inputs):
            return self.up(input=inputs)

    assert macs(ByKeyword(), (2, 5)) == 2 * 5 * 3 * 2


def test_example_inputs_serve_a_text_model_and_only_the_first_is_run():
    seen = []
    model = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(12, 2))
    model[2].register_forward_hook(lambda _, inputs, output: seen.append(len(output)))
    assert macs(model, torch.zeros(9, 3, dtype=torch.int64)) == 24
    assert seen == [1]


def test_a_model_without_countable_layers_costs_nothing():
    assert macs(nn.Sequential(nn.Flatten(), nn.ReLU()), (2, 3)) == 0
    assert layer_macs(nn.ReLU(), (2,)) == {}


def test_a_layer_of_another_kind_counts_by_the_rule_that_is_registered_for_it():
    class Doubling(nn.Module):
        def forward(self, inputs):
            return inputs * 2

    assert macs(Doubling(), (5,)) == 0
    call_macs.register(Doubling, lambda module, example, output: output.numel())
    assert macs(Doubling(), (5,)) == 5
    assert registry is call_macs


def test_a_call_without_a_rule_is_named():
    sentence = "module must be a layer with a rule in call_macs, got ReLU."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        call_macs(nn.ReLU(), torch.zeros(1), torch.zeros(1))


EXAMPLE = "input_shape must be a shape or at least one example input, got a tensor of shape "


@pytest.mark.parametrize(
    ("input_shape", "error", "sentence"),
    [
        ((1, 0), ValueError, "input_shape must be a whole number of at least 1, got 0."),
        (("a",), TypeError, "input_shape must be a whole number of at least 1, got 'a'."),
        (torch.zeros(0, 3), ValueError, f"{EXAMPLE}(0, 3)."),
        (torch.tensor(3.0), ValueError, f"{EXAMPLE}()."),
        (8, TypeError, "input_shape must be the shape of one example, or a tensor, got 8."),
    ],
)
def test_shapes_are_checked(input_shape, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        macs(nn.Linear(3, 3), input_shape)


def test_a_shape_that_the_model_refuses_is_named():
    with pytest.raises(
        ValueError,
        match=r"^model must accept inputs of shape \(1, 7\) and torch.float32, got RuntimeError: ",
    ):
        macs(nn.Linear(3, 3), (7,))

import copy

import networks
import pytest
import torch
from torch import nn

from lwlab.quantize import prepare_
from lwlab.quantize.activations import prepare_activations
from lwlab.quantize.integer import Dequantize, FloatOperation, IntegerModel, convert


def integer_model(name="SimpleCNN"):
    model, inputs = networks.trained_looking(name)
    prepare_(model, num_bits=8)
    return convert(prepare_activations(model, inputs)), inputs


def test_it_prints_as_a_program():
    integer, _ = integer_model()
    lines = str(integer).splitlines()
    assert lines[0] == "IntegerModel, 16 steps, all in integers"
    assert [line.split("  #")[0] for line in lines[1:6]] == [
        "  images_codes = Quantize(images)",
        "  conv1 = IntegerConv(images_codes)",
        "  max_pool2d = IntegerMaxPool(conv1)",
        "  relu = IntegerReLU(max_pool2d)",
        "  conv1_codes = Requantize(relu)",
    ]
    assert lines[-1] == "  return fc2_real"
    assert (
        "  fc2 = IntegerLinear(fc1_codes)  # 10x8 int8 weights, int32 bias, input zero 0" in lines
    )
    assert "  flatten = flatten(conv2_codes, 1)" in lines


def test_its_steps_give_each_value_and_end_with_the_logits():
    integer, inputs = integer_model()
    steps = list(integer.steps(inputs))
    assert [step.name for step in steps[:3]] == ["images", "images_codes", "conv1"]
    assert steps[0].text == "images = the input"
    assert torch.equal(steps[-1].value, integer(inputs))
    assert {step.value.dtype for step in steps[1:-1]} == {torch.int32}


def test_codes_are_found_by_point():
    integer, inputs = integer_model()
    codes = integer.codes(inputs)
    assert list(codes) == ["images", "conv1", "conv2", "fc1"]
    assert all(0 <= int(one.min()) and int(one.max()) <= 255 for one in codes.values())


@pytest.mark.parametrize("name", ["SimpleCNN", "ResNet8", "island"])
def test_copies_and_state_dicts_carry_all_the_numbers(name):
    integer, inputs = integer_model(name)
    expected = integer(inputs)
    twin = copy.deepcopy(integer)
    assert torch.equal(twin(inputs), expected)
    state = copy.deepcopy(twin.state_dict())
    for key, value in state.items():
        if key.endswith(".bias"):
            value.add_(1000)
    twin.load_state_dict(state)
    assert not torch.equal(twin(inputs), expected)
    twin.load_state_dict(integer.state_dict())
    assert torch.equal(twin(inputs), expected)


def test_it_stays_in_evaluation_mode_and_gives_no_gradients():
    integer, inputs = integer_model("island")
    assert not integer.train().training
    assert not any(part.training for part in integer.modules())
    assert not integer(inputs.requires_grad_()).requires_grad


def test_any_layout_and_batch_size_give_the_same():
    integer, inputs = integer_model("ResNet8")
    expected = integer(inputs)
    assert torch.equal(integer(inputs.contiguous(memory_format=torch.channels_last)), expected)
    assert torch.equal(torch.cat([integer(part) for part in inputs.split(1)]), expected)


def test_names_are_escaped_in_a_notebook():
    operation = FloatOperation("<b>", "Sigmoid", "a & b")
    program = torch.fx.symbolic_trace(nn.Identity())
    page = IntegerModel(program, (operation,), {})._repr_html_()
    assert "&lt;b&gt; (Sigmoid): a &amp; b" in page
    assert "<b>" not in page


def test_a_layer_used_twice_becomes_two():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.conv(torch.relu(self.conv(x)))

    model = Twice().eval()
    prepare_(model, num_bits=8)
    inputs = torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    ready = prepare_activations(model, inputs)
    integer = convert(ready, strict=True)
    names = [name for name, _ in integer.program.named_children()]
    assert [name for name in names if not name.endswith(("codes", "real"))] == [
        "conv", "relu", "conv_1",
    ]  # fmt: skip
    with torch.no_grad():
        assert (integer(inputs) - ready(inputs)).abs().max() < 0.02


def test_a_tensor_that_two_float_operations_take_leaves_the_integers_once():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            x = self.conv(x)
            return self.head(torch.sigmoid(x) * torch.tanh(x))

    model = Gated().eval()
    prepare_(model, num_bits=8)
    inputs = torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    integer = convert(prepare_activations(model, inputs))
    assert [one.kind for one in integer.float_operations] == ["sigmoid", "tanh", "mul"]
    assert sum(isinstance(part, Dequantize) for part in integer.modules()) == 2  # and the end

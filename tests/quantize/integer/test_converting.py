import copy
import re

import networks
import pytest
import torch
import torch.nn.functional as F
from reference import Reference
from torch import nn

from lwlab.models import SimpleCNN
from lwlab.quantize import PerChannel, PerGroup, PerTensor, prepare_
from lwlab.quantize.activations import prepare_activations
from lwlab.quantize.integer import ClampCodes, FloatOperation, IntegerModel, convert

MODELS = list(networks.NETWORKS)
GROUPED = (
    "its weights have the scales of PerGroup(size=9, axis=0), and a sum of integers has one per "
    "output"
)
KINDS = {
    "eight bits by channel": {"num_bits": 8},
    "asymmetric by tensor": {"num_bits": 5, "granularity": PerTensor(), "symmetric": False},
    "ternary": {"num_bits": "ternary"},
    "eight bits asymmetric": {"num_bits": 8, "symmetric": False},
}


def prepared(name, activation_bits=8, symmetric=False, **weights):
    model, inputs = networks.trained_looking(name)
    prepare_(model, **(weights or {"num_bits": 8}))
    return (
        prepare_activations(model, inputs, num_bits=activation_bits, symmetric=symmetric),
        inputs,
    )


def assert_equals_reference(model, inputs):
    integer, reference = convert(model), Reference(copy.deepcopy(model).eval())
    inputs = inputs[:2] * 1.3  # beyond what calibration saw, so that codes are clamped
    expected = reference.run(inputs)
    codes = integer.codes(inputs)
    assert list(codes) == list(reference.codes)
    for point, values in codes.items():
        assert values.dtype == torch.int32
        assert values.tolist() == reference.codes[point].tolist(), point
    assert torch.equal(integer(inputs), expected.float())
    return integer


@pytest.mark.parametrize("name", MODELS)
def test_codes_at_every_node_equal_those_of_big_integers(name):
    assert_equals_reference(*prepared(name))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["SimpleCNN", "depthwise"])
def test_so_they_do_for_other_grids_of_weights(name, kind):
    assert_equals_reference(*prepared(name, **KINDS[kind]))


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("name", ["joined", "depthwise", "sequence"])
def test_so_they_do_for_narrow_and_symmetric_grids_of_activations(name, bits):
    assert_equals_reference(*prepared(name, activation_bits=bits, symmetric=bits == 4))


@pytest.mark.parametrize("name", MODELS)
def test_the_integer_model_gives_what_the_prepared_model_gives(name):
    model, inputs = prepared(name)
    with torch.no_grad():
        expected = model.eval()(inputs)
    integer = convert(model)
    step = (expected.max() - expected.min()) / 255
    assert (integer(inputs) - expected).abs().max() < 4 * step
    assert torch.equal(integer(inputs).argmax(1), expected.argmax(1))


def test_folded_batchnorm_leaves_no_batchnorm_and_equals_the_reference():
    folding = pytest.importorskip("lwlab.quantize.folding")
    model, inputs = networks.trained_looking("ResNet8")
    folded = folding.fold_batchnorm(model)
    prepare_(folded, num_bits=8)
    integer = assert_equals_reference(prepare_activations(folded, inputs), inputs)
    assert "IntegerBatchNorm" not in str(integer)
    assert integer.float_operations == ()


def test_padding_means_zero_and_not_the_code_zero():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(1, 1, 1))
    nn.init.ones_(model[0].weight)
    prepare_(model, num_bits=8)
    ready = prepare_activations(model, torch.tensor([-1.0, 1.55]).reshape(2, 1, 1, 1))
    zero_point = int(ready.activations["input_1"].zero_point)
    assert zero_point == 100
    integer = convert(ready)
    sums = {step.name: step.value for step in integer.steps(torch.ones(1, 1, 1, 1))}["_0"]
    assert sums.tolist() == [[[[127 * 100]]]]  # the middle alone: (200 - 100) * 127, 0 around it
    assert_equals_reference(ready, torch.ones(2, 1, 3, 3))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_other_paddings_move_the_codes(mode):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode), nn.Conv2d(2, 1, 1))
    prepare_(model, num_bits=8)
    inputs = torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    ready = prepare_activations(model, inputs).eval()
    with torch.no_grad():
        expected = ready(inputs)
    step = float(ready.activations["_0"].scale)
    assert (convert(ready)(inputs) - expected).abs().max() < step


def test_relu_on_codes_is_a_clamp_at_the_zero_point():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            x = self.conv(x)  # two users: stored before the ReLU
            return self.head(F.relu(x) + x)

    model = Twice().eval()
    prepare_(model, num_bits=8)
    inputs = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    ready = prepare_activations(model, inputs)
    integer = assert_equals_reference(ready, inputs)
    [clamp] = [part for part in integer.modules() if isinstance(part, ClampCodes)]
    assert int(clamp.low) == int(ready.activations["conv"].zero_point) > 0
    assert clamp.high is None


def test_what_has_no_integers_is_listed_by_name_and_reason():
    model, _ = prepared("island")
    integer = convert(model)
    assert integer.float_operations == (
        FloatOperation("gate", "Sigmoid", "there is no integer form for it here"),
        FloatOperation("softmax", "softmax", "there is no integer form for it here"),
    )
    assert "In float: gate (Sigmoid): there is no integer form for it here" in str(integer)
    assert "<li>gate (Sigmoid): there is no" in integer._repr_html_()
    assert "conv_codes_real = Dequantize(conv_codes)" in str(integer)
    assert "gate_codes = Quantize(view)" in str(integer)


def test_layers_that_are_not_ready_run_in_float_and_say_why():
    model, inputs = networks.trained_looking("SimpleCNN")
    prepare_(model, num_bits={"conv1": 8, "fc2": 8, "conv2": 8})
    prepare_(model, num_bits=4, layers=["conv2"], granularity=PerGroup(9))
    ready = prepare_activations(model, inputs, num_bits={"images": 8, "conv1": 8, "conv2": 8})
    integer = convert(ready)
    assert [(one.name, one.reason) for one in integer.float_operations] == [
        (
            "conv2",
            GROUPED,
        ),
        ("max_pool2d_1", "its input is in float"),
        ("relu_1", "its input is in float"),
        ("fc1", "its weights are in float"),
        ("relu_2", "its input is in float"),
        ("fc2", "its input 'relu_2' has no activation quantizer"),
    ]
    with torch.no_grad():
        expected = ready.eval()(inputs)
    assert (integer(inputs) - expected).abs().max() < 0.02


def test_a_group_that_is_a_whole_channel_is_no_hindrance():
    model, inputs = networks.trained_looking("SimpleCNN")
    prepare_(model, num_bits=4, layers=["conv2"], granularity=PerGroup(27))
    prepare_(model, num_bits=4, layers=["conv1", "fc1", "fc2"])
    assert convert(prepare_activations(model, inputs)).float_operations == ()


def test_scales_along_the_inputs_are_one_too_many():
    model, inputs = networks.trained_looking("SimpleCNN")
    prepare_(model, num_bits=8, granularity=PerChannel(axis=1))
    [first, *_] = convert(prepare_activations(model, inputs)).float_operations
    assert first.name == "conv1" or "PerChannel(axis=1)" in first.reason


def test_sums_that_could_leave_int32_run_in_float():
    model, inputs = networks.trained_looking("SimpleCNN")
    model.conv1.bias.data[0] = 1e6
    prepare_(model, num_bits=8)
    [operation, *rest] = convert(prepare_activations(model, inputs)).float_operations
    assert operation.name == "conv1"
    assert operation.reason.startswith(
        "the sums of a layer must stay within int32, up to 2,147,483,647, got a bound of "
    )
    assert {one.reason for one in rest} == {"its input is in float"}


def test_strict_refuses_in_one_sentence():
    model, _ = prepared("island")
    sentence = (
        "model must compute in integers throughout with strict=True, got 2 in float: gate "
        "(Sigmoid): there is no integer form for it here; softmax (softmax): there is no integer "
        "form for it here."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        convert(model, strict=True)
    assert isinstance(convert(prepared("SimpleCNN")[0], strict=True), IntegerModel)


def test_models_that_are_not_prepared_are_refused_in_one_sentence():
    model, inputs = networks.trained_looking("SimpleCNN")
    sentence = (
        "model must have quantized activations, got SimpleCNN without. Try "
        "prepare_activations(model, dataset.train.take(500))."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        convert(model)
    sentence = (
        "model must have quantized weights, got SimpleCNN with all weights in float. Try "
        "prepare_(model, num_bits=8) before prepare_activations."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        convert(prepare_activations(model, inputs))
    sentence = "model must be a torch.nn.Module, got the class SimpleCNN. Did you mean SimpleCNN()?"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        convert(SimpleCNN)


@pytest.mark.parametrize("name", ["ResNet8", "island"])
def test_the_prepared_model_stays_as_it_is(name):
    model, inputs = prepared(name)
    model.train()
    before = copy.deepcopy(model.state_dict())
    code, nodes = model.code, len(model.graph.nodes)
    integer = convert(model)
    integer(inputs)
    assert model.training
    assert (model.code, len(model.graph.nodes)) == (code, nodes)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before | after)
    shared = {t.data_ptr() for t in after.values()} & {
        t.data_ptr() for t in integer.state_dict().values()
    }
    assert not shared - {0}

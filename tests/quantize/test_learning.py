"""Learned quantizers on a model: put on, trained by fit, read, copied, loaded, taken off."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lwlab import data, packing
from lwlab.measure import accuracy
from lwlab.models import LeNet300, seeded
from lwlab.quantize.activations import (
    activation_bits,
    prepare_activations,
    quantized_activations,
)
from lwlab.quantize.granularity import PerGroup, PerTensor
from lwlab.quantize.learned_activation import (
    ClipPenalty,
    LearnedClipActivation,
    LearnedStepActivation,
)
from lwlab.quantize.learned_step import LearnedStep
from lwlab.quantize.learning import learn_clips_, learn_steps_
from lwlab.quantize.preparing import current_bits, prepare_, quantized_weights, unprepare_
from lwlab.train import fit


class Keep(nn.Module):
    """A mask, as pruning puts one on."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return torch.where(self.mask, weight, 0)

    def right_inverse(self, weight):
        return weight


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def trained_once(digits):
    with seeded(0):
        net = LeNet300(digits.input_shape, digits.num_classes, width=60)
    for _ in fit(net, digits, epochs=4, seed=0):
        pass
    return net


@pytest.fixture
def trained(trained_once):
    return copy.deepcopy(trained_once)


def model(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def inputs(count=20):
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(0))


def prepared(num_bits=2, **settings):
    net = prepare_activations(model(), inputs(), num_bits=4)
    prepare_(net, num_bits=num_bits, **settings)
    return net


def top(net, name):
    return net.get_submodule(name).parametrizations.weight[-1]


def kinds(net):
    return [type(fake) for fake in quantized_activations(net).values()]


def test_all_quantizers_learn_and_are_read_as_before():
    net = prepared()
    before = (current_bits(net), activation_bits(net))
    learn_steps_(net)
    assert [type(top(net, name)) for name in ("0", "2")] == [LearnedStep, LearnedStep]
    assert kinds(net) == [LearnedStepActivation, LearnedStepActivation]
    assert (current_bits(net), activation_bits(net)) == before
    net.eval()
    for name, weight in quantized_weights(net).items():
        assert torch.equal(weight.dequantize(), net.get_submodule(name).weight)


def test_weights_alone_need_no_graph():
    net = model()
    prepare_(net, num_bits={"0": 4, "2": "ternary"}, granularity=PerTensor())
    learn_steps_(net)
    assert current_bits(net) == {"0": 4, "2": "ternary"}
    assert [n for n, p in net.named_parameters() if p.shape == (1,)] == [
        "0.parametrizations.weight.0.log_step",
        "2.parametrizations.weight.0.log_step",
    ]


def test_layers_and_points_can_be_chosen():
    net = prepared()
    learn_steps_(net, layers=["2"], points=[])
    assert [type(top(net, name)) is LearnedStep for name in ("0", "2")] == [False, True]
    assert LearnedStepActivation not in kinds(net)
    first = next(iter(quantized_activations(net)))
    learn_clips_(net, points=[first])
    assert [kind is LearnedClipActivation for kind in kinds(net)] == [True, False]


def test_clips_change_activations_alone_and_a_step_can_follow_a_clip():
    net = prepared()
    learn_clips_(net)
    assert kinds(net) == [LearnedClipActivation, LearnedClipActivation]
    assert not isinstance(top(net, "0"), LearnedStep)
    learn_steps_(net)
    assert kinds(net) == [LearnedStepActivation, LearnedStepActivation]


def test_scales_that_are_there_can_be_kept():
    net = prepared(4)
    before = [top(net, "0").scale, *(fake.scale for fake in quantized_activations(net).values())]
    learn_steps_(net, start="current")
    net(inputs())
    after = [top(net, "0").scale, *(fake.scale for fake in quantized_activations(net).values())]
    for one, two in zip(before, after, strict=True):
        torch.testing.assert_close(one, two)


def test_channels_of_several_widths_learn_too_and_those_of_one_bit_keep_their_rule():
    net, widths = model(), [1, 2, 2, 4, 4, 4, 8, 8]
    prepare_(net, num_bits={"0": widths})
    learn_steps_(net)
    parts = top(net, "0").parts
    assert [type(part).__name__ for part in parts] == ["FakeLowBit", *["LearnedStep"] * 3]
    weight = net[0].parametrizations.weight.original.detach()
    torch.testing.assert_close(parts[1].scale, 2 * weight[1:3].abs().mean(dim=1))
    assert current_bits(net) == {"0": tuple(widths)}
    net(inputs()).sum().backward()
    assert all(part.log_step.grad is not None for part in parts[1:])
    assert torch.equal(quantized_weights(net)["0"].dequantize(), net[0].weight)


def two_bits(trained, digits):
    net = prepare_activations(trained, digits.train.take(300), num_bits=2)
    prepare_(net, num_bits=2, granularity=PerTensor())
    return net


def trained_on(net, digits, penalty=None):
    for _ in fit(net, digits, epochs=3, seed=0, learning_rate=1e-3, penalty=penalty):
        pass
    return accuracy(net, digits.validation).value


def test_fit_trains_the_steps_and_does_better_than_ranges_that_follow(digits, trained):
    following, learning = two_bits(trained, digits), two_bits(trained, digits)
    learn_steps_(learning)
    before = quantized_weights(learning)
    assert trained_on(learning, digits) > trained_on(following, digits)
    for name, weight in quantized_weights(learning).items():
        assert not torch.equal(weight.codes, before[name].codes)
        assert not torch.equal(weight.scale, before[name].scale)
        assert len(weight.codes.unique()) <= 4


def test_fit_trains_the_clips_and_the_penalty_draws_them_inwards(digits, trained):
    found = []
    for penalty in (None, ClipPenalty(1.0)):
        net = two_bits(trained, digits)
        learn_steps_(net, points=[])
        learn_clips_(net)
        scales = [fake.scale for fake in quantized_activations(net).values()]
        before = accuracy(net, digits.validation).value
        assert trained_on(net, digits, penalty) > before
        found.append([fake.scale for fake in quantized_activations(net).values()])
        assert all(a != b for a, b in zip(scales, found[-1], strict=True))
    assert all(drawn < free for free, drawn in zip(*found, strict=True))


@pytest.mark.parametrize("num_bits", [8, 4])
def test_adam_at_its_usual_rate_does_not_throw_small_steps_away(digits, trained, num_bits):
    before = accuracy(trained, digits.validation).value
    prepare_(trained, num_bits=num_bits)
    learn_steps_(trained)
    for _ in fit(trained, digits, epochs=2, seed=0):
        pass
    assert accuracy(trained, digits.validation).value >= before - 0.01


def test_copies_are_independent_and_a_state_dict_comes_back():
    net, other = prepared(), prepared()
    for each in (net, other):
        learn_steps_(each)
        learn_clips_(each, points=list(quantized_activations(each))[:1])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    net(inputs()).square().sum().backward()
    optimizer.step()
    twin = copy.deepcopy(net)
    other.load_state_dict(net.state_dict())
    for each in (twin, other):
        assert torch.equal(each.eval()(inputs()), net.eval()(inputs()))
    with torch.no_grad():
        top(twin, "0").log_step.add_(1)
    assert not torch.equal(twin(inputs()), net(inputs()))
    unprepare_(twin)
    assert current_bits(net) == {"0": 2, "2": 2}


def test_taken_off_the_float_weights_are_back():
    net = model()
    prepare_(net, num_bits=2, granularity=PerGroup(2))
    learn_steps_(net)
    unprepare_(net)
    assert torch.equal(net[0].weight, model()[0].weight)
    assert (type(net[0]), len(list(net.parameters()))) == (nn.Linear, 4)


def test_a_file_holds_the_codes_and_a_plain_model_gets_the_same_weights():
    with seeded(0):
        net, plain = nn.Linear(100, 50), nn.Linear(100, 50)
    prepare_(net, num_bits=2)
    learn_steps_(net)
    with torch.no_grad():
        net.parametrizations.weight[-1].log_step.add_(0.1)
    file = packing.to_bytes(net)
    assert len(file) < 2000 + 4 * 3 * 50  # 5,000 codes of 2 bits, scales, biases
    packing.from_bytes_(plain, file)
    assert torch.equal(plain.weight, net.weight)


def test_prepared_anew_the_steps_are_found_by_the_range_rule_again():
    net, plain = model(), model()
    prepare_(net, num_bits=2)
    learn_steps_(net)
    for each in (net, plain):
        prepare_(each, num_bits=3)
    assert torch.equal(top(net, "0").scale, top(plain, "0").scale)


def test_on_a_mask_zeros_stay_zeros_and_the_mask_stays_on():
    net = model()
    mask = torch.rand(8, 6, generator=torch.Generator().manual_seed(0)) > 0.6
    parametrize.register_parametrization(net[0], "weight", Keep(mask))
    prepare_(net, num_bits=4)
    learn_steps_(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(inputs()).square().sum().backward()
        optimizer.step()
    assert bool((net[0].weight[~mask] == 0).all())
    unprepare_(net)
    assert torch.equal(net[0].weight != 0, mask)


def test_measuring_changes_nothing():
    net = prepared()
    learn_steps_(net)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        net.train()(inputs())
    net.eval()(inputs())
    after = net.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def with_nan():
    net = prepared()
    net.get_submodule("0").parametrizations.weight.original.data[0, 0] = torch.nan
    return net


BAD = [
    (
        model,
        learn_steps_,
        {},
        ValueError,
        (
            "model must have quantizers for their steps to be learned, got none. Try "
            "prepare_(model, num_bits=4) first."
        ),
    ),
    (
        prepared,
        learn_steps_,
        {"start": "max"},
        ValueError,
        "start must be one of 'mean' or 'current', got 'max'.",
    ),
    (
        prepared,
        learn_steps_,
        {"layers": ["1"]},
        ValueError,
        "layers must be one of '0' or '2', got '1'.",
    ),
    (
        prepared,
        learn_steps_,
        {"layers": "0"},
        TypeError,
        "layers must be a list of names, got '0'. Try ['0'].",
    ),
    (
        prepared,
        learn_steps_,
        {"points": ["x"]},
        ValueError,
        "points must be one of 'input_1' or '_0', got 'x'.",
    ),
    (
        lambda: prepared(1),
        learn_steps_,
        {},
        ValueError,
        (
            "weight of layer '0' must have 2 bits or more, or 'ternary', for its step to be "
            "learned, got 1 bit, whose scale is the mean |w| at all times. Leave the layer out: "
            "name the others in layers=[...]."
        ),
    ),
    (
        with_nan,
        learn_steps_,
        {},
        ValueError,
        (
            "weight of layer '0' must be finite, got 1 NaN or infinite of 48 values (the first at "
            "index (0, 0))."
        ),
    ),
    (
        model,
        learn_clips_,
        {},
        ValueError,
        (
            "model must have activation quantizers for their clips to be learned, got none. Try "
            "prepare_activations(model, calibration) first."
        ),
    ),
]


@pytest.mark.parametrize(("build", "function", "arguments", "error", "sentence"), BAD)
def test_bad_input_gets_one_sentence_and_the_model_stays(
    build, function, arguments, error, sentence
):
    net = build()
    before = repr(net)
    with pytest.raises(error, match="^" + re.escape(sentence) + "$"):
        function(net, **arguments)
    assert repr(net) == before


def test_points_of_a_model_without_any_are_refused():
    net = model()
    prepare_(net, num_bits=4)
    sentence = "points must name quantizers of the model, got ['conv1']; it has none."
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        learn_steps_(net, points=["conv1"])


@pytest.mark.parametrize("function", [learn_steps_, learn_clips_])
def test_a_class_is_no_model(function):
    sentence = "model must be a torch.nn.Module, got the class ReLU. Did you mean ReLU()?"
    with pytest.raises(TypeError, match="^" + re.escape(sentence) + "$"):
        function(nn.ReLU)

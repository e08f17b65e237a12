"""Tracing: the same function, the same names, masks and quantizers stay on; what is refused."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from lwlab.models import LeNet5, ResNet8, SimpleCNN, seeded
from lwlab.models.layers import layer_names, plain_state
from lwlab.prune.masking import current_masks, mask_model_
from lwlab.quantize.activations.tracing import trace
from lwlab.quantize.preparing import current_bits, prepare_, quantized_weights


def images(count=4, shape=(1, 16, 16)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def same_state(one, other):
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize("kind", [SimpleCNN, ResNet8, LeNet5])
@pytest.mark.parametrize("training", [True, False])
def test_a_traced_model_has_the_same_names_numbers_and_flags(kind, training):
    net = kind((1, 16, 16)).train(training)
    traced = trace(net)
    assert same_state(traced, net)
    assert [*dict(traced.named_modules())] == [*dict(net.named_modules())]
    assert all(m.training == training for m in traced.modules())
    with torch.no_grad():
        assert torch.equal(traced(images()), net(images()))
    copied = copy.deepcopy(traced)
    assert same_state(copied, traced)
    assert type(copied).__name__ == type(traced).__name__ == kind.__name__
    assert list(plain_state(copied)) == list(plain_state(net))


def test_nothing_is_shared_with_the_model():
    net = SimpleCNN((1, 16, 16))
    traced = trace(net)
    with torch.no_grad():
        traced.conv1.weight.zero_()
    assert net.conv1.weight.abs().sum() > 0


def test_masks_and_quantizers_on_the_weights_stay_on_and_can_be_changed():
    net = SimpleCNN((1, 16, 16))
    mask_model_(net, sparsity=0.5)
    prepare_(net, num_bits={"conv2": 4})
    state = copy.deepcopy(net.state_dict())
    traced = trace(net)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == [
        *layer_names(net)
    ]
    assert layer_names(traced) == layer_names(net)
    assert current_masks(traced).keys() == current_masks(net).keys()
    assert current_bits(traced) == {"conv2": 4}
    assert torch.equal(traced(images()), net(images()))
    prepare_(traced, num_bits=2)
    assert current_bits(traced) == dict.fromkeys(layer_names(net), 2)
    assert current_bits(net) == {"conv2": 4}
    zeros = ~current_masks(traced)["fc1"]
    assert int(quantized_weights(traced)["fc1"].codes[zeros].abs().max()) == 0
    net(images()).sum().backward()
    assert state.keys() == net.state_dict().keys()


def test_a_traced_model_is_copied_again():
    traced = trace(SimpleCNN((1, 16, 16)))
    again = trace(traced)
    assert again is not traced
    assert isinstance(again, fx.GraphModule)
    assert same_state(again, traced)


class Unused(nn.Module):
    """Has a parameter of its own, and a layer that forward does not use."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.spare = nn.Linear(3, 3)
            self.fc = nn.Linear(4, 2)
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.fc(x) * self.gain


def test_parameters_of_the_model_itself_and_unused_layers_are_kept():
    net = Unused()
    traced = copy.deepcopy(trace(net))
    assert traced.state_dict().keys() == net.state_dict().keys()
    assert [name for name, _ in traced.named_parameters()] == [
        name for name, _ in net.named_parameters()
    ]
    assert torch.equal(traced(torch.ones(1, 4)), net(torch.ones(1, 4)))
    traced(torch.ones(1, 4)).sum().backward()
    assert traced.gain.grad is not None


class Doubling(nn.Linear):
    """A subclass that does more than its parent."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_a_layer_with_a_forward_of_its_own_is_followed_inside():
    with seeded(0):
        net = nn.Sequential(Doubling(3, 2), nn.ReLU())
    traced = trace(net)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["1"]
    assert torch.equal(traced(torch.ones(1, 3)), net(torch.ones(1, 3)))


class Undecided(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced_is_told_in_one_sentence():
    with pytest.raises(
        ValueError,
        match=re.escape(
            "model must be one that torch.fx can follow, got Undecided: TraceError: symbolically "
            "traced variables cannot be used as inputs to control flow. Weights alone can be "
            "quantized without a graph: prepare_(model, ...)."
        ),
    ):
        trace(Undecided())
    with pytest.raises(TypeError, match=re.escape("Did you mean SimpleCNN()?")):
        trace(SimpleCNN)


class Calls(nn.Module):
    """One layer, and steps that a test gives."""

    def __init__(self, steps):
        super().__init__()
        with seeded(0):
            self.fc = nn.Linear(4, 4)
        self.relu_in_place = nn.ReLU(inplace=True)
        self.steps = steps

    def forward(self, x):
        return self.steps(self, self.fc(x))


def test_dropout_that_asks_for_the_flag_of_the_model_still_does():
    net = Calls(lambda self, x: F.dropout(x, 0.5, self.training)).train()
    traced = trace(net)
    assert traced.state_dict().keys() == net.state_dict().keys()
    inputs = torch.ones(2, 4)
    with seeded(1):
        expected = net(inputs)
    with seeded(1):
        assert torch.equal(traced(inputs), expected)
    assert not torch.equal(traced.eval()(inputs), expected)
    assert torch.equal(traced(inputs), net.eval()(inputs))
    always = trace(Calls(lambda self, x: F.dropout(x, 0.5, True)).eval())
    assert not torch.equal(always(inputs), always(inputs))


def test_constants_made_in_forward_are_kept_outside_the_state():
    net = Calls(lambda self, x: x * torch.tensor([1.0, 2.0, 3.0, 4.0]))
    traced = copy.deepcopy(trace(net))
    assert traced.state_dict().keys() == net.state_dict().keys()
    assert torch.equal(traced(torch.ones(2, 4)), net(torch.ones(2, 4)))


def test_other_steps_in_training_are_refused():
    with pytest.raises(
        ValueError,
        match=re.escape(
            "model must take the same steps in training and in evaluation mode, got other ones. "
            "Put what differs into a module of torch.nn. Weights alone can be quantized without a "
            "graph: prepare_(model, ...)."
        ),
    ):
        trace(Calls(lambda self, x: x.relu() if self.training else x))


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        (lambda self, x: self.relu_in_place(x) + x, "relu_in_place"),
        (lambda self, x: F.relu(x, inplace=True) + x, "relu"),
        (lambda self, x: torch.relu_(x) + x, "relu_"),
        (lambda self, x: x.clamp_(0, 1) + x, "clamp_"),
    ],
)
def test_a_tensor_that_is_used_twice_must_not_be_changed_in_place(steps, name):
    sentence = (
        f"model must not change a tensor in place that is used twice, got {name!r} on 'fc'. Try "
        f"inplace=False."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        trace(Calls(steps))
    trace(Calls(lambda self, x: self.relu_in_place(x).sigmoid_()))

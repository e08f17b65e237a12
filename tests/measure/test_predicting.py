import re

import pytest
import torch
from torch import nn

from lwlab.measure import NO_ANSWER, accuracy, predictions
from lwlab.measure.predicting import Predictor
from lwlab.models import LeNet5, LeNet300, ResNet8, SimpleCNN, seeded

MODELS = {
    "cnn": SimpleCNN,
    "dense": lambda: LeNet300((1, 8, 8)),
    "lenet5": lambda: LeNet5((1, 16, 16)),
    "residual": lambda: ResNet8((3, 8, 8)),
}


def plain_loop(model, inputs):
    model.eval()
    with torch.no_grad():
        return torch.stack([model(inputs[i : i + 1])[0].argmax() for i in range(len(inputs))])


def images(model, count=70):
    return torch.rand(count, *model.input_shape, generator=torch.Generator().manual_seed(3))


class Breaks(nn.Module):
    def forward(self, inputs):
        raise RuntimeError("the wire\n  came off")


class StrideSpy(nn.Module):
    """Writes down the strides of what arrives, and answers with zeros but one."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.strides, self.sizes = layer, [], []

    def forward(self, inputs):
        self.strides.append(inputs.stride())
        self.sizes.append(len(inputs))
        return nn.functional.one_hot(torch.ones(len(inputs), dtype=torch.int64), 3).float()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("batch_size", [1, 32, 250])
def test_answers_are_those_of_a_slow_loop(kind, batch_size):
    model = MODELS[kind]()
    inputs = images(model)
    found = predictions(model, inputs, batch_size)
    assert found.dtype == torch.int64
    assert torch.equal(found, plain_loop(model, inputs))


def test_answers_of_a_masked_model_are_those_of_a_slow_loop(make_model, digits_like):
    model = make_model("new masked")
    expected = plain_loop(model, digits_like.inputs)
    assert torch.equal(predictions(model, digits_like.inputs), expected)


def test_answers_are_the_places_of_the_largest_logits():
    logits = torch.tensor([[0.0, 2.0, 1.0], [-1.0, -3.0, -2.0], [0.0, 0.0, 5.0]])
    assert predictions(nn.Identity(), logits).tolist() == [1, 0, 2]


def test_logits_with_a_nan_are_no_answer_and_infinite_ones_are_compared():
    nan, inf = float("nan"), float("inf")
    logits = torch.tensor([[0.0, nan], [nan, nan], [inf, 0.0], [-inf, 0.0], [inf, nan]])
    assert predictions(nn.Identity(), logits).tolist() == [NO_ANSWER, NO_ANSWER, 0, 1, NO_ANSWER]
    assert NO_ANSWER == -1


@pytest.mark.parametrize("channels", [1, 3])
def test_images_reach_a_convolution_with_the_strides_of_channels_last(channels):
    spy = StrideSpy(nn.Conv2d(channels, 4, 3))
    predictions(spy, torch.rand(5, channels, 6, 7))
    assert spy.strides == [(42 * channels, 1, 7 * channels, channels)]


def test_a_convolution_computes_in_channels_last_without_a_change_to_the_model():
    seen = []
    model = SimpleCNN()
    model.conv2.register_forward_hook(lambda _, inputs, output: seen.append(output.stride()))
    predictions(model, torch.rand(2, 1, 8, 8))
    assert seen == [(64 * 16, 1, 64 * 4, 64)]
    assert model.conv2.weight.is_contiguous()


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Conv1d(1, 1, 1), (5, 2, 6)), (nn.Linear(1, 1), (5, 2, 6, 7))]
)
def test_other_inputs_and_other_models_keep_their_layout(layer, shape):
    spy = StrideSpy(layer)
    inputs = torch.rand(shape)
    predictions(spy, inputs)
    assert spy.strides == [inputs.stride()]


def test_whole_numbers_reach_a_text_model():
    with seeded(0):
        model = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(12, 2))
    tokens = torch.randint(20, (9, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(predictions(model, tokens), plain_loop(model, tokens))


def test_a_model_that_refuses_the_layout_is_run_in_the_plain_one_after_a_single_try():
    class Views(SimpleCNN):
        calls = 0

        def forward(self, inputs):
            self.calls += 1
            x = nn.functional.max_pool2d(self.conv2(self.conv1(inputs)), 4)
            return self.fc2(self.fc1(x.view(len(x), -1)))

    with seeded(0):
        model = Views()
    inputs = images(model, 10)
    found = predictions(model, inputs, batch_size=5)
    assert model.calls == 3
    assert torch.equal(found, plain_loop(model, inputs))


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(251, 250, [126, 125]), (250, 250, [250]), (7, 3, [3, 2, 2]), (2, 250, [2])],
)
def test_batches_are_of_nearly_one_size(count, batch_size, sizes):
    spy = StrideSpy(nn.Linear(1, 1))
    predictions(spy, torch.rand(count, 3), batch_size)
    assert spy.sizes == sizes


@pytest.mark.parametrize("layer", [nn.Linear(1, 1), nn.Conv2d(1, 1, 1)])
def test_a_model_that_works_in_place_leaves_the_inputs_alone(layer):
    class Centers(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, inputs):
            return inputs.sub_(inputs.mean()).flatten(1)

    inputs = torch.rand(4, 1, 2, 2)
    kept = inputs.clone()
    predictions(Centers(), inputs)
    assert torch.equal(inputs, kept)


def test_answers_are_ordinary_tensors_that_may_take_part_in_training():
    found = predictions(nn.Identity(), torch.eye(3))
    assert not found.is_inference()
    weight = torch.ones(3, requires_grad=True)
    (weight[found] * 2).sum().backward()
    assert weight.grad.tolist() == [2, 2, 2]


class Returns(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, inputs):
        return self.output


WANTED = "model must return floating-point logits of shape (4, classes) for 4 inputs, got "
TWO = "model must return logits of at least 2 classes, got 1. "
ALONE = "Let forward return the logits alone."


@pytest.mark.parametrize(
    ("output", "error", "sentence"),
    [
        ((torch.zeros(4, 3), None), TypeError, f"{WANTED}tuple. {ALONE}"),
        (None, TypeError, f"{WANTED}NoneType. {ALONE}"),
        (torch.zeros(4, 3, dtype=torch.int64), TypeError, f"{WANTED}torch.int64."),
        (torch.zeros(4), ValueError, f"{WANTED}shape (4,)."),
        (torch.zeros(3, 3), ValueError, f"{WANTED}shape (3, 3)."),
        (torch.zeros(4, 3, 2, 2), ValueError, f"{WANTED}shape (4, 3, 2, 2)."),
        (
            torch.zeros(4, 1),
            ValueError,
            f"{TWO}Give a yes-or-no model two outputs.",
        ),
    ],
)
def test_outputs_that_are_no_logits_are_named(output, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        predictions(Returns(output), torch.zeros(4, 2))


@pytest.mark.parametrize(
    ("inputs", "error", "sentence"),
    [
        ([1, 2], TypeError, "inputs must be a tensor, got list."),
        (
            torch.zeros(0, 3),
            ValueError,
            "inputs must hold at least one example, got shape (0, 3).",
        ),
        (torch.tensor(1.0), ValueError, "inputs must hold at least one example, got shape ()."),
    ],
)
def test_inputs_that_hold_nothing_are_refused(inputs, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        predictions(nn.Identity(), inputs)


def test_a_failing_model_is_quoted_with_the_shape_that_it_was_given():
    sentence = (
        "model must accept inputs of shape (5, 2) and torch.float32, got RuntimeError: "
        "the wire came off"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$") as caught:
        predictions(Breaks(), torch.zeros(5, 2))
    assert str(caught.value.__cause__) == "the wire\n  came off"


def test_a_wrong_image_size_is_one_sentence(digits_like):
    with pytest.raises(
        ValueError,
        match=r"^model must accept inputs of shape \(150, 1, 8, 8\) and torch.float32, got "
        r"RuntimeError: [^\n]+$",
    ):
        accuracy(SimpleCNN((1, 28, 28)), digits_like)


def test_the_batch_size_is_checked():
    with pytest.raises(
        ValueError, match=r"^batch_size must be a whole number of at least 1, got 0\.$"
    ):
        predictions(nn.Identity(), torch.eye(3), batch_size=0)


def test_the_logits_are_the_models_own_and_leave_it_as_it_was():
    model = SimpleCNN((1, 8, 8), width=4)
    inputs = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    predictor = Predictor(model, batch_size=3)
    found = predictor.logits(inputs)
    assert torch.allclose(found, model(inputs), atol=1e-5)
    assert torch.equal(found.argmax(dim=1), predictor(inputs))
    assert not found.requires_grad
    assert not found.is_inference()
    assert model.training


def test_the_logits_keep_a_nan():
    found = Predictor(nn.Linear(2, 3)).logits(torch.tensor([[1.0, 2.0], [torch.nan, 0.0]]))
    assert found.isnan().any(dim=1).tolist() == [False, True]

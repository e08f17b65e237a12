import re

import pytest
import torch
from torch import nn

from lwlab import measure
from lwlab.models import SimpleCNN

MEASUREMENTS = {
    "accuracy": measure.accuracy,
    "accuracy_in_parts": lambda model, split: list(measure.accuracy_in_parts(model, split, 100)),
    "predictions": lambda model, split: measure.predictions(model, split.inputs),
    "per_class_accuracy": measure.per_class_accuracy,
    "flipped": lambda model, split: measure.flipped(model, SimpleCNN(seed=1), split),
    "flipped other": lambda model, split: measure.flipped(SimpleCNN(seed=1), model, split),
    "macs": lambda model, split: measure.macs(model, (1, 8, 8)),
    "layer_macs": lambda model, split: measure.layer_macs(model, split.inputs),
    "latency": lambda model, split: measure.latency(model, split.inputs[:1], repeats=2, warmup=1),
    "scorecard": measure.scorecard,
}
READINGS = {
    "num_parameters": lambda model, split: measure.num_parameters(model),
    "num_nonzero": lambda model, split: measure.num_nonzero(model),
    "sparsity": lambda model, split: measure.sparsity(model),
    "layer_sparsities": lambda model, split: measure.layer_sparsities(model),
    "plain_bytes": lambda model, split: measure.plain_bytes(model),
    "gzip_bytes": lambda model, split: measure.gzip_bytes(model),
    "packed_bytes": lambda model, split: measure.packed_bytes(model),
    "folded": lambda model, split: measure.folded(model),
}
EVERYTHING = MEASUREMENTS | READINGS
KINDS = ["float", "masked", "spectral", "channels_last"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EVERYTHING)
def test_measuring_changes_nothing_of_the_model(name, kind, make_model, picture, digits_like):
    model = make_model(kind)
    before, inputs = picture(model), digits_like.inputs.clone()
    EVERYTHING[name](model, digits_like)
    assert picture(model) == before
    assert torch.equal(digits_like.inputs, inputs)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_model_that_fails_midway_is_left_as_it_was_and_explained(
    name, make_model, picture, digits_like
):
    model = make_model("breaking")
    before = picture(model)
    with pytest.raises(ValueError, match=r"got RuntimeError: the wire came off$"):
        MEASUREMENTS[name](model, digits_like)
    assert picture(model) == before


def test_the_picture_sees_each_kind_of_change(make_model, picture):
    def changed(change):
        model = make_model("masked")
        before = picture(model)
        change(model)
        return picture(model) != before

    assert not changed(lambda model: None)
    assert changed(lambda model: model.eval())
    assert changed(lambda model: model.conv2.train())
    assert changed(lambda model: model.conv1.register_forward_hook(print))
    assert changed(lambda model: model.requires_grad_(False))
    assert changed(lambda model: model.zero_grad())
    assert changed(lambda model: model.fc2.bias.data.fill_(1))
    assert changed(lambda model: model.to(memory_format=torch.channels_last))
    assert changed(lambda model: torch.rand(1))


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_measurement_refuses_what_is_no_model(name, digits_like):
    with pytest.raises(TypeError, match=r"^model must be a torch.nn.Module, got function\.$"):
        EVERYTHING[name](lambda inputs: inputs, digits_like)


def test_inside_the_block_everything_evaluates_without_gradients(make_model):
    model = make_model("float")
    with measure.evaluating(model) as same:
        assert same is model
        assert not any(module.training for module in model.modules())
        assert torch.is_inference_mode_enabled()
    assert model.training
    assert not model.conv2.training
    assert not torch.is_inference_mode_enabled()


def test_flags_come_back_after_an_error_in_the_block(make_model, picture):
    model = make_model("float")
    before = picture(model)
    with pytest.raises(KeyError), measure.evaluating(model):
        raise KeyError
    assert picture(model) == before


def test_a_model_with_its_own_train_method_is_not_asked_to_run_it():
    class Merges(nn.Linear):
        merged = 0

        def train(self, mode=True):
            self.merged += 1
            return super().train(mode)

    model = Merges(2, 2)
    with measure.evaluating(model):
        assert not model.training
    assert model.training
    assert model.merged == 0


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_lazy_model_is_refused_and_stays_lazy(name, digits_like):
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    sentence = (
        "model must know the shapes of its parameters, got lazy layers that have seen no input. "
        "Run one batch through it first."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        EVERYTHING[name](model, digits_like)
    assert nn.parameter.is_lazy(model[1].weight)

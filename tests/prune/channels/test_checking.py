from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lwlab.prune.channels import plan_channels, remove_channels
from lwlab.prune.channels.checking import plain_copy
from lwlab.prune.masking import mask_model_

ROW = torch.ones(2, 3)


def chain(*middle):
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Linear(4, 4), nn.Linear(4, 2))


def spoiled(value):
    model = chain()
    with torch.no_grad():
        model[1].weight[2, 3] = value
    return model


WRONG = {
    "a class": (
        nn.ReLU,
        TypeError("model must be a torch.nn.Module, got the class ReLU. Did you mean ReLU()?"),
    ),
    "NaN": (
        spoiled(float("nan")),
        ValueError(
            "weight of layer '1' must be finite, got 1 NaN or infinite of 16 values (the first at "
            "index (2, 3))."
        ),
    ),
    "lazy": (
        nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2)),
        ValueError(
            "layer '0' must have values before channels can be removed, got an uninitialized "
            "LazyLinear. Run the model once on a batch."
        ),
    ),
    "meta": (
        chain().to("meta"),
        ValueError(
            "layer '0' must have values before channels can be removed, got one on the meta "
            "device. Build it on the CPU."
        ),
    ),
    "compiled": (
        torch.compile(chain()),
        ValueError("model must not be compiled, got one from torch.compile. Cut it before."),
    ),
}


@pytest.mark.parametrize(("model", "error"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("use", [plan_channels, remove_channels])
def test_each_state_a_model_cannot_be_in_has_its_sentence(model, error, use):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        use(model, pruning_ratio=0.5, example_inputs=ROW)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_its_place():
    model = chain(torch.jit.script(nn.Sequential(nn.Linear(4, 4))))
    sentence = (
        "model must be made of Python modules, got TorchScript in layer '1'. Take the module that "
        "it was made from."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        plain_copy(model)


def test_what_cannot_be_copied_is_refused():
    model = chain()
    model.computed = model[0].weight * 2
    with pytest.raises(
        ValueError, match=r"^model must be one that can be copied, got RuntimeError: "
    ):
        plain_copy(model)


def test_a_parametrization_over_a_mask_is_refused():
    model = chain()
    mask_model_(model, sparsity=0.5)
    parametrizations.weight_norm(model[1])
    sentence = (
        "weight of layer '1' must have a Mask alone to be baked, got _WeightNorm on top of it. "
        "Remove that first."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        plain_copy(model)

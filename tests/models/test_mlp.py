import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.models import layer_names
from lwlab.models.mlp import MLP


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        # 784 * 1200 + 1200, 1200 * 1200 + 1200, 1200 * 10 + 10
        ((1200, 1200), 942_000 + 1_441_200 + 12_010),
        ((800, 800), 628_000 + 640_800 + 8_010),
        ((30,), 784 * 30 + 30 + 310),
        ((), 784 * 10 + 10),
    ],
)
def test_the_widths_decide_the_number_of_parameters(widths, expected):
    model = MLP(widths=widths)
    assert parameters(model) == expected
    assert layer_names(model) == tuple(f"fc{n}" for n in range(1, len(widths) + 2))
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_forward_pass_is_linear_layers_with_relu_between_them():
    model, inputs = MLP((3, 4), 5, widths=(7, 6), dropout=(0.2, 0.5)).eval(), torch.randn(8, 3, 4)
    by_hand = F.relu(model.fc1(inputs.flatten(1)))
    by_hand = model.fc3(F.relu(model.fc2(by_hand)))
    assert torch.equal(model(inputs), by_hand)


def test_dropout_acts_in_training_alone_on_inputs_and_hidden_layers_at_their_own_rates():
    model = MLP((1000,), 2, widths=(1000,), dropout=(0.2, 0.5)).train()
    dropped = []
    for layer in (model.fc1, model.fc2):
        layer.register_forward_pre_hook(
            lambda _, x: dropped.append(float((x[0] == 0).float().mean()))
        )
    nn.init.zeros_(model.fc1.weight)
    nn.init.ones_(model.fc1.bias)  # so that no hidden unit is 0 by itself
    model(torch.ones(50, 1000))
    assert dropped == [pytest.approx(0.2, abs=0.02), pytest.approx(0.5, abs=0.02)]
    dropped.clear()
    model.eval()(torch.ones(50, 1000))
    assert dropped == [0, 0]


def test_one_rate_is_for_the_hidden_layers_and_none_draws_no_random_numbers():
    assert MLP(dropout=0.4).dropout == (0.0, 0.4)
    assert "Dropout" not in str(MLP())
    model = MLP((4,), 2, widths=(3,)).train()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    model(torch.zeros(2, 4))
    assert torch.equal(torch.rand(1), expected)


def test_the_seed_decides_the_weights_and_the_callers_stream_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, same, other = (MLP(widths=(9,), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.fc1.weight, same.fc1.weight)
    assert not torch.equal(first.fc1.weight, other.fc1.weight)


def test_mistakes_get_one_sentence():
    with says(
        TypeError,
        "widths must be a sequence of whole numbers, one a hidden layer, got 800. "
        "Try widths=(800, 800).",
    ):
        MLP(widths=800)
    with says(ValueError, "widths must be a whole number of at least 1, got 0."):
        MLP(widths=(800, 0))
    with says(ValueError, "dropout must be a fraction in [0, 1), got 50.0. Did you mean 0.5?"):
        MLP(dropout=50)
    with says(
        ValueError,
        "dropout must be one fraction, or two for inputs and hidden layers, got (0.1, 0.2, 0.3).",
    ):
        MLP(dropout=(0.1, 0.2, 0.3))
    with says(ValueError, "num_classes must be a whole number of at least 1, got 0."):
        MLP(num_classes=0)

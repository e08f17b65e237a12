import re

import pytest
import torch
import torch.nn.functional as F

from lwlab.models import LeNet5, LeNet300, ResNet8, SimpleCNN, layer_names

ALL = [SimpleCNN, LeNet300, LeNet5, ResNet8]


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # 1*32*9+32, 32*64*9+64, 64*2*2*128+128, 128*10+10
        (SimpleCNN(), 320 + 18_496 + 32_896 + 1_290),
        (SimpleCNN((1, 28, 28)), 320 + 18_496 + 401_536 + 1_290),
        (LeNet300(), 266_610),  # papers.md, LeNet-300-100
        (LeNet5(), 431_080),  # the Caffe variant
        # conv, stack1 2*2320, stack2 4640+9248+544, stack3 18496+36928+2112, fc, BatchNorms
        (ResNet8(), 448 + 4_640 + 14_432 + 57_536 + 650 + 480),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameter_counts_are_the_published_ones(model, expected):
    assert parameters(model) == expected


@pytest.mark.parametrize("network", ALL)
def test_output_is_one_logit_a_class(network):
    model = network(num_classes=7)
    assert model(torch.zeros(3, *model.input_shape)).shape == (3, 7)


@pytest.mark.parametrize("network", ALL)
def test_the_seed_decides_the_weights_and_the_callers_stream_is_left_alone(network):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, same, other = network(seed=1), network(seed=1), network(seed=2)
    assert torch.equal(torch.rand(1), expected)
    for a, b in zip(first.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(first.parameters()).flatten(), next(other.parameters()).flatten())


@pytest.mark.parametrize("network", ALL)
def test_width_makes_a_wider_network_of_the_same_class(network):
    model = network()
    wide = network(width=2 * model.width)
    assert parameters(wide) > 2 * parameters(model)
    assert wide(torch.zeros(1, *wide.input_shape)).shape == (1, 10)


def test_pooling_before_relu_gives_the_textbook_order_to_the_bit():
    model, images = SimpleCNN(seed=4), torch.rand(5, 1, 8, 8)
    x = F.max_pool2d(F.relu(model.conv1(images)), 2)
    x = F.max_pool2d(F.relu(model.conv2(x)), 2)
    textbook = model.fc2(F.relu(model.fc1(x.flatten(1))))
    assert torch.equal(model(images), textbook)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 9, 13)])
def test_simple_cnn_takes_any_image_size(shape):
    assert SimpleCNN(shape, num_classes=4)(torch.zeros(2, *shape)).shape == (2, 4)


def test_depth_makes_a_shallower_or_deeper_network_of_the_same_class():
    shallow, deep = SimpleCNN(depth=1), SimpleCNN(depth=3)
    assert layer_names(shallow) == ("conv1", "fc1", "fc2")
    assert layer_names(deep) == ("conv1", "conv2", "conv3", "fc1", "fc2")
    # 1*32*9+32, 32*4*4*128+128, 128*10+10
    assert parameters(shallow) == 320 + 65_664 + 1_290
    # ..., 64*128*9+128, 128*1*1*128+128, ...
    assert parameters(deep) == 320 + 18_496 + 73_856 + 16_512 + 1_290
    images = torch.rand(5, 1, 8, 8)
    x = F.relu(F.max_pool2d(shallow.conv1(images), 2))
    assert torch.equal(shallow(images), shallow.fc2(F.relu(shallow.fc1(x.flatten(1)))))
    assert deep(images).shape == (5, 10)


def test_too_small_an_image_for_the_depth_gets_one_sentence():
    sentence = (
        "input_shape must be (channels, height, width) with height and width of at least 16 for "
        "SimpleCNN, got (1, 8, 8)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SimpleCNN(depth=4)
    with pytest.raises(ValueError, match=r"^depth must be a whole number of at least 1, got 0\.$"):
        SimpleCNN(depth=0)


def test_a_shape_that_is_no_image_gets_one_sentence():
    sentence = (
        "input_shape must be (channels, height, width) with height and width of at least 4 for "
        "SimpleCNN, got (64,)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SimpleCNN((64,))


def test_too_small_an_image_gets_one_sentence():
    sentence = (
        "input_shape must be (channels, height, width) with height and width of at least 16 for "
        "LeNet5, got (1, 8, 8)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        LeNet5((1, 8, 8))


def test_a_width_that_is_no_count_gets_one_sentence():
    sentence = "width must be a whole number of at least 1, got 0."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SimpleCNN(width=0)

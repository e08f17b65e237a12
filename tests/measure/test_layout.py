import torch
from torch import nn

from lwlab.measure import fastest_layout
from lwlab.measure.layout import channels_last
from lwlab.models import LeNet300, SimpleCNN


class Viewer(nn.Module):
    """Flattens with ``view``, which wants plain memory."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(128, 10)

    def forward(self, images):
        return self.head(self.conv(images).view(len(images), -1))


def test_channels_last_keeps_every_value_and_puts_the_channels_of_a_pixel_side_by_side():
    images = torch.rand(2, 3, 4, 5)
    moved = channels_last(images)
    assert torch.equal(moved, images)
    assert moved.stride() == (60, 1, 15, 3)


def test_images_of_one_channel_get_the_strides_too():
    moved = channels_last(torch.rand(2, 1, 4, 5))
    assert moved.stride() == (20, 1, 5, 1)


def test_the_layout_is_a_copy():
    images = torch.zeros(1, 1, 2, 2)
    channels_last(images).add_(1)
    assert images.sum() == 0


def test_a_convolutional_network_gets_its_images_with_channels_last():
    images = torch.rand(2, 1, 8, 8)
    assert fastest_layout(SimpleCNN(), images)(images).stride(1) == 1


def test_a_model_that_cannot_or_need_not_gets_the_very_tensor():
    images = torch.rand(2, 1, 8, 8)
    for model in (Viewer(), LeNet300((1, 8, 8)), nn.Linear(8, 2)):
        assert fastest_layout(model, images)(images) is images
    flat = torch.rand(2, 64)
    assert fastest_layout(SimpleCNN(), flat)(flat) is flat


def test_trying_a_layout_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fastest_layout(model, torch.rand(2, 1, 8, 8))
    assert model.training
    assert model[1].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

import io
import re

import pytest
import torch
from matplotlib.image import imread

from lwlab.plots.thumbnail import is_picture, thumbnail_png


def pixels(png):
    return (255 * imread(io.BytesIO(png))[..., :3]).round().astype(int).tolist()


def test_a_grey_picture_runs_from_black_to_white():
    png = thumbnail_png(torch.tensor([[[0.0, 2.0], [1.0, 4.0]]]))
    assert [[shade[0] for shade in row] for row in pixels(png)] == [[0, 127], [63, 255]]


def test_a_coloured_picture_keeps_its_channels_on_one_scale():
    image = torch.zeros(3, 1, 3)
    image[0, 0, 0] = image[1, 0, 1] = 1.0  # red, then green, then black
    assert pixels(thumbnail_png(image)) == [[[255, 0, 0], [0, 255, 0], [0, 0, 0]]]


def test_a_picture_of_one_value_and_nan_are_black():
    assert pixels(thumbnail_png(torch.full((1, 1, 2), 7.0))) == [[[0] * 3, [0] * 3]]
    image = torch.tensor([[[float("nan"), 1.0]]])
    assert pixels(thumbnail_png(image)) == [[[0] * 3, [255] * 3]]


def test_only_one_or_three_channels_make_a_picture():
    assert is_picture((1, 8, 8))
    assert is_picture((3, 8, 8))
    assert not is_picture((2, 8, 8))
    assert not is_picture((8, 8))
    sentence = "image must have shape (1 or 3, height, width), got (2, 8, 8)."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        thumbnail_png(torch.zeros(2, 8, 8))
    with pytest.raises(TypeError, match=r"^image must be a tensor, got list\.$"):
        thumbnail_png([[1]])

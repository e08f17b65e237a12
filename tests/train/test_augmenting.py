import re

import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import SimpleCNN
from lwlab.train.augmenting import Shift
from lwlab.train.choices import cross_entropy
from lwlab.train.loop import fit


def says(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images():
    generator = stream(1)
    return data.from_arrays(torch.rand(60, 1, 6, 5, generator=generator), torch.arange(60) % 3)


def moved(image, rows, columns):
    """Move one image ``(channels, H, W)`` pixel by pixel, zeros coming into sight."""
    result = torch.zeros_like(image)
    height, width = image.shape[-2:]
    for row in range(height):
        for column in range(width):
            if 0 <= row + rows < height and 0 <= column + columns < width:
                result[:, row, column] = image[:, row + rows, column + columns]
    return result


def test_each_image_is_moved_on_its_own_as_a_slow_loop_moves_it():
    batch = torch.rand(40, 3, 6, 5, generator=stream(1)) + 0.1
    shifted = Shift(2)(batch, stream())
    found = set()
    for image, result in zip(batch, shifted, strict=True):
        [move] = [
            (rows, columns)
            for rows in range(-2, 3)
            for columns in range(-2, 3)
            if torch.equal(moved(image, rows, columns), result)
        ]
        found.add(move)
    assert len(found) > 12  # of the 25 there are


def test_all_moves_are_alike_likely():
    batch = torch.zeros(9000, 1, 5, 5)
    batch[:, :, 2, 2] = 1
    counts = Shift(1)(batch, stream()).sum(dim=(0, 1))
    assert counts[1:4, 1:4].sum() == 9000
    # 1000 each, standard deviation 30
    assert (counts[1:4, 1:4] - 1000).abs().max() < 150


def test_no_pixels_no_change_and_the_input_is_never_written_to():
    batch = torch.rand(4, 1, 3, 3)
    before = batch.clone()
    assert torch.equal(Shift(0)(batch, stream()), batch)
    Shift(2)(batch, stream())
    assert torch.equal(batch, before)


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 1, 4, 6), (5, 2, 3, 4, 6)])
def test_any_number_of_channels_moves_together(shape):
    values = torch.rand(shape, generator=stream(1))
    shifted = Shift(1)(values, stream(2))
    assert shifted.shape == shape
    flat = values.reshape(5, -1, 4, 6)
    assert torch.equal(shifted, Shift(1)(flat, stream(2)).reshape(shape))


def test_what_is_no_image_or_too_small_gets_one_sentence():
    for shape in [(4, 8), (4, 1, 2, 8), (4, 1, 8, 2)]:
        with says(
            ValueError,
            f"inputs must be images (B, ..., height, width) larger than the shift of 2 pixels, got "
            f"shape {shape}.",
        ):
            Shift(2)(torch.zeros(shape), stream())
    with says(ValueError, "pixels must be a whole number of at least 0, got -1."):
        Shift(-1)


def batches_of(dataset, augment, seed=0, dropout=0.0, epochs=2):
    seen = []

    def loss(outputs, batch):
        seen.append(batch)
        return cross_entropy(outputs, batch)

    model = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(30, 3))
    list(fit(model, dataset, epochs=epochs, batch_size=9, loss=loss, augment=augment, seed=seed))
    return seen


def test_the_loss_and_the_model_see_the_same_augmented_inputs(images):
    inputs = []
    model = SimpleCNN((1, 6, 5), 3, width=2, hidden=4)
    model.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))

    def loss(outputs, batch):
        assert batch.augmented
        assert torch.equal(batch.inputs, inputs[-1])
        return cross_entropy(outputs, batch)

    list(fit(model, images, epochs=1, batch_size=9, loss=loss, augment=Shift(1)))


def test_augmentation_depends_on_the_seed_alone_and_never_repeats(images):
    first = batches_of(images, Shift(2))
    with_dropout = batches_of(images, Shift(2), dropout=0.5)
    other = batches_of(images, Shift(2), seed=1)
    for a, b in zip(first, with_dropout, strict=True):
        assert torch.equal(a.inputs, b.inputs)
    assert not all(torch.equal(a.inputs, b.inputs) for a, b in zip(first, other, strict=True))
    # By example, one epoch after the other.
    places = torch.cat([batch.indices for batch in first])
    values = torch.cat([batch.inputs for batch in first])
    half = len(images.train)
    one, two = (values[p][places[p].argsort()] for p in (slice(half), slice(half, None)))
    assert not torch.equal(one, two)


def test_augmentation_changes_neither_the_order_nor_what_layers_draw(images):
    plain = batches_of(images, None)
    unchanged = batches_of(images, lambda inputs, generator: inputs + 0 * torch.rand(
        1, generator=generator
    ))  # fmt: skip
    for a, b in zip(plain, unchanged, strict=True):
        assert torch.equal(a.indices, b.indices)
        assert torch.equal(a.inputs, b.inputs)
        assert not a.augmented
        assert b.augmented


def test_the_data_set_stays_as_it_is_also_with_an_augmentation_in_place(images):
    before = images.train.inputs.clone()
    batches_of(images, lambda inputs, generator: inputs.add_(1))
    assert torch.equal(images.train.inputs, before)


def test_a_wrong_augmentation_gets_one_sentence(images):
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 3))
    with says(
        TypeError,
        "augment must be a function (inputs, generator) -> inputs, got 2. Try Shift(2).",
    ):
        fit(model, images, augment=2)
    for wrong, got in [
        (lambda x, g: x[:, :, 1:], "(42, 1, 5, 5)"),
        (lambda x, g: None, "NoneType"),
    ]:
        with says(
            ValueError,
            f"augment must return a tensor of shape (42, 1, 6, 5), as it was given, got {got}.",
        ):
            list(fit(model, images, augment=wrong))

import hashlib
import re
import socket

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lwlab import data


def raises(error, sentence):
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def fingerprint(split):
    """The first 16 digits of the SHA-256 of a split of images, in its order."""
    pixels = (split.inputs * 255).round().to(torch.uint8).numpy().tobytes()
    return hashlib.sha256(pixels + split.targets.numpy().astype("<i8").tobytes()).hexdigest()[:16]


def assert_shares(split, counts):
    """Each class has its share of the split, within one example."""
    quota = len(split) * counts / counts.sum()
    assert np.abs(np.bincount(split.targets, minlength=len(counts)) - quota).max() <= 1


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_digits_has_the_promised_form(digits):
    assert repr(digits) == (
        "Dataset('digits': 997 / 300 / 500 train / validation / test, inputs 1x8x8, 10 classes)"
    )
    assert digits.class_names == tuple("0123456789")
    for split in (digits.train, digits.validation, digits.test):
        assert split.inputs.dtype == torch.float32
        assert split.inputs.min() == 0
        assert split.inputs.max() == 1
        assert split.targets.dtype == torch.int64
        assert split.inputs.is_contiguous()


def test_digits_is_all_of_scikit_learns_set_each_image_once(digits):
    source = load_digits()
    expected = sorted(
        (tuple(image), int(label))
        for image, label in zip(source.data / 16, source.target, strict=True)
    )
    found = sorted(
        (tuple(image.flatten().tolist()), int(label))
        for split in (digits.train, digits.validation, digits.test)
        for image, label in zip(split.inputs, split.targets, strict=True)
    )
    assert found == expected


def test_digits_is_stratified(digits):
    counts = np.bincount(load_digits().target)
    for split in (digits.train, digits.validation, digits.test):
        assert_shares(split, counts)


def test_the_split_of_digits_is_pinned_for_ever(digits):
    assert [fingerprint(s) for s in (digits.train, digits.validation, digits.test)] == DIGITS


DIGITS = ["a0ab9de601d180a8", "62483cf436a1170b", "43d54f06cf9115e0"]


def test_loading_leaves_the_global_streams_alone():
    np.random.seed(0)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    data.load("digits")
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_original_files_give_the_promised_and_pinned_sets(real_data, monkeypatch, name):
    monkeypatch.setenv("LWLAB_DATA", str(real_data))
    found = data.load(name)
    assert [len(found.train), len(found.validation), len(found.test)] == [55_000, 5_000, 10_000]
    assert found.input_shape == (1, 28, 28)
    assert found.num_classes == 10
    assert found.train.inputs.min() == 0
    assert found.train.inputs.max() == 1
    counts = np.bincount(torch.cat([found.train.targets, found.validation.targets]))
    assert_shares(found.validation, counts)
    assert_shares(found.train, counts)
    assert [fingerprint(s) for s in (found.train, found.validation, found.test)] == PINNED[name]


PINNED = {
    "mnist": ["7baf12e7f19252d9", "d6ea554f15db827b", "a0863a96c44e5666"],
    "fashion_mnist": ["a843b57d9a34d78f", "8bf11edc605069b2", "9a494dc49efeb996"],
}


def test_the_first_test_images_are_the_official_ones(real_data, monkeypatch):
    monkeypatch.setenv("LWLAB_DATA", str(real_data))
    # The well-known first labels of the two test sets.
    assert data.load("mnist").test.targets[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    fashion = data.load("fashion_mnist")
    assert [fashion.class_names[label] for label in fashion.test.targets[:3]] == [
        "Ankle boot",
        "Pullover",
        "Trouser",
    ]


def test_a_set_is_read_from_the_system_folder_whatever_its_gzip_header(
    nothing_installed, small_mnist, write_small_set, tmp_path
):
    # Debian's files differ from the public ones in the gzip header only.
    place = write_small_set(tmp_path / "system" / "mnist", mtime=1_590_000_000)
    first = small_mnist.public / "t10k-labels-idx1-ubyte.gz"
    assert (place / first.name).read_bytes() != first.read_bytes()
    assert data.available()["mnist"] == str(place)
    found = data.load("mnist")
    assert [len(found.train), len(found.validation), len(found.test)] == [50, 10, 20]
    assert_shares(found.validation, np.full(10, 6))


def test_an_altered_file_is_named_and_nothing_else_is_loaded_instead(
    nothing_installed, small_mnist, write_small_set, tmp_path, monkeypatch
):
    write_small_set(tmp_path / "system" / "mnist")
    place = write_small_set(tmp_path / "mine" / "mnist", gzipped=False)
    monkeypatch.setenv("LWLAB_DATA", str(tmp_path / "mine"))
    path = place / "train-images-idx3-ubyte"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        data.DataFileError, match=f"^{re.escape(str(path))} must have content of SHA-256 .*altered"
    ):
        data.load("mnist")


def test_without_files_or_a_network_one_sentence_says_what_to_do(
    nothing_installed, small_mnist, write_small_set, tmp_path, monkeypatch
):
    place = write_small_set(tmp_path / "mine" / "mnist")
    (place / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("LWLAB_DATA", str(tmp_path / "mine"))
    assert data.available()["mnist"] is None
    with raises(
        FileNotFoundError,
        f"mnist must lie in one of {tmp_path}/mine ({place} lacks t10k-labels-idx1-ubyte); "
        f"{tmp_path}/system; {nothing_installed}; or be downloaded, but "
        "train-images-idx3-ubyte.gz could not be downloaded from 127.0.0.1:9 (ConnectionError) or "
        "127.0.0.1:9 (ConnectionError). Set LWLAB_DATA to a folder that holds "
        "mnist/train-images-idx3-ubyte.gz, or load it once with a network.",
    ):
        data.load("mnist")


def test_an_unknown_name_is_answered_with_the_nearest():
    intro = "name must be one of 'digits', 'mnist', 'fashion_mnist' or 'cifar10'"
    with raises(ValueError, f"{intro}, got 'fashion-mnist'. Did you mean 'fashion_mnist'?"):
        data.load("fashion-mnist")
    with raises(ValueError, f"{intro}, got ['digits']. Did you mean 'digits'?"):
        data.load(["digits"])


def test_digits_needs_neither_folder_nor_network(monkeypatch):
    monkeypatch.setenv("LWLAB_DATA", "/nowhere/at/all")
    monkeypatch.setattr(socket, "socket", None)
    assert data.load("digits").name == "digits"


def test_available_names_what_is_known_and_refuses_a_bad_folder(nothing_installed, monkeypatch):
    assert data.available() == {
        "digits": "scikit-learn",
        "mnist": None,
        "fashion_mnist": None,
        "cifar10": None,
    }
    assert list(data.KNOWN) == list(data.available())
    assert not nothing_installed.exists()
    monkeypatch.setenv("LWLAB_DATA", "/nowhere/at/all")
    with raises(
        FileNotFoundError,
        "LWLAB_DATA must name an existing folder, got '/nowhere/at/all': nothing is there. "
        "Correct it, or unset it to use the user cache.",
    ):
        data.available()

"""The public data sets that ``load`` knows: where their files lie and what must be in them.

The SHA-256 of a *file* is that of the public download, still compressed; the SHA-256 of a *content*
is taken after decompression and checked on every load, wherever the file came from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lwlab.data.cifar import CIFAR10_FOLDER, TEST_FILES, TRAIN_FILES, read_cifar10
from lwlab.data.download import PublicFile
from lwlab.data.files import check_labels, content_path
from lwlab.data.idx import read_idx

__all__ = ["PUBLIC_SETS", "Examples", "PublicSet", "read_idx_set"]

# uint8 images (N, channels, height, width) and uint8 labels (N,).
Examples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PublicSet:
    """A public data set of images in ten classes.

    Attributes:
        name: what ``load`` calls it.
        title: what it is, in a few words.
        places: where it may lie under a root, as relative paths, the usual one first. A place is a
            folder with all of ``files``, or an archive (``.tar.gz``).
        files: the names in such a folder; each may also end in ``.gz``.
        downloads: the public files; put in a folder called ``name`` they complete the first place.
        class_names: of class 0, 1, ...
        validation_size: how many training examples are held out.
        read: place -> ((train images, labels), (test images, labels)), everything checked.
    """

    name: str
    title: str
    places: tuple[str, ...]
    files: tuple[str, ...]
    downloads: tuple[PublicFile, ...]
    class_names: tuple[str, ...]
    validation_size: int
    read: Callable[[Path], tuple[Examples, Examples]]


# In the order in which they are read: train images and labels, test images and labels.
_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def read_idx_set(
    folder: Path,
    counts: tuple[int, int] = (60_000, 10_000),
    sha256: tuple[str | None, ...] = (None,) * 4,
) -> tuple[Examples, Examples]:
    """Read the four files of MNIST or a relative, each plain or gzipped.

    Args:
        folder: where they lie under their usual names.
        counts: how many examples train and test must hold.
        sha256: of the four contents: train images and labels, test images and labels.

    Raises:
        DataFileError: a file is of another kind or shape, cut off, altered or has a label above 9.
        OSError: a file cannot be opened.
    """
    parts = []
    for position, name in enumerate(_IDX_FILES):
        path = content_path(folder, name)
        count = counts[position // 2]
        is_labels = position % 2 == 1
        array = read_idx(path, (count,) if is_labels else (count, 28, 28), sha256[position])
        if is_labels:
            check_labels(path, array)
        parts.append(array if is_labels else array[:, None])
    return (parts[0], parts[1]), (parts[2], parts[3])


def _idx_set(
    name: str,
    title: str,
    places: tuple[str, ...],
    class_names: tuple[str, ...],
    homes: tuple[str, ...],
    file_sha256: tuple[str, ...],
    content_sha256: tuple[str, ...],
) -> PublicSet:
    downloads = [
        PublicFile(f"{file}.gz", homes, sha256)
        for file, sha256 in zip(_IDX_FILES, file_sha256, strict=True)
    ]
    read = partial(read_idx_set, sha256=content_sha256)
    return PublicSet(name, title, places, _IDX_FILES, tuple(downloads), class_names, 5_000, read)


_MNIST = _idx_set(
    name="mnist",
    title="28x28 handwritten digits, 70,000 images",
    places=("mnist",),
    class_names=tuple("0123456789"),
    homes=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    file_sha256=(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    content_sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

_FASHION_MNIST = _idx_set(
    name="fashion_mnist",
    title="28x28 pictures of clothes, 70,000 images",
    places=("fashion_mnist", "fashion-mnist"),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    homes=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    file_sha256=(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    content_sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)

_CIFAR10_ARCHIVE = "cifar-10-binary.tar.gz"
_CIFAR10_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}

_CIFAR10 = PublicSet(
    name="cifar10",
    title="32x32 colour photographs of ten things, 60,000 images",
    places=(
        f"cifar10/{_CIFAR10_ARCHIVE}",
        f"cifar10/{CIFAR10_FOLDER}",
        _CIFAR10_ARCHIVE,
        CIFAR10_FOLDER,
    ),
    files=TRAIN_FILES + TEST_FILES,
    downloads=(
        PublicFile(
            _CIFAR10_ARCHIVE,
            ("https://www.cs.toronto.edu/~kriz/",),
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    validation_size=5_000,
    read=partial(read_cifar10, sha256=_CIFAR10_SHA256),
)

PUBLIC_SETS: dict[str, PublicSet] = {
    known.name: known for known in (_MNIST, _FASHION_MNIST, _CIFAR10)
}

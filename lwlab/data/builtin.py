"""``load``: a data set by its name, the same examples in the same splits for ever.

``digits`` comes with scikit-learn. The others are looked for in the folder named by the environment
variable ``LWLAB_DATA``, in ``/usr/share/datasets`` and in the user's cache, else downloaded into
that cache. One set never stands in for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from lwlab.checks import check_choice
from lwlab.data.catalogue import PUBLIC_SETS, PublicSet
from lwlab.data.dataset import Dataset, Split
from lwlab.data.download import download
from lwlab.data.places import VARIABLE, cache_folder, describe_search, find_place, search_roots
from lwlab.data.splitting import stratified_split

__all__ = ["KNOWN", "available", "load"]

KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "digits": "8x8 handwritten digits, 1,797 images",
        **{name: known.title for name, known in PUBLIC_SETS.items()},
    }
)
"""The names that ``load`` takes, each with a few words on what it is."""


def load(name: str) -> Dataset:
    """Return a data set by its name; images are float32 (N, channels, height, width) in [0, 1].

    ============== =========== ============ ================================
    name           image       classes      train / validation / test
    ============== =========== ============ ================================
    digits         1x8x8       10 digits    997 / 300 / 500 (no file needed)
    mnist          1x28x28     10 digits    55,000 / 5,000 / 10,000
    fashion_mnist  1x28x28     10 garments  55,000 / 5,000 / 10,000
    cifar10        3x32x32     10 things    45,000 / 5,000 / 10,000
    ============== =========== ============ ================================

    Validation is held out of the official training set, stratified by class and fixed for ever;
    test is the official test set in its official order (for digits: drawn like validation).

    Raises:
        ValueError: the name is unknown. ``DataFileError``: a file is cut off, altered or of another
            kind.
        OSError: nothing was found and nothing could be downloaded, ``LWLAB_DATA`` names no folder,
            or a file cannot be opened.
    """
    check_choice("name", name, tuple(KNOWN))
    if name == "digits":
        return _load_digits()
    known = PUBLIC_SETS[name]
    roots = search_roots()
    return _read_public(known, find_place(known, roots) or _download(known, roots))


def available() -> dict[str, str | None]:
    """Return for each known name where it was found, or None if ``load`` would download it.

    Nothing is downloaded and no content is read.

    Raises:
        OSError: ``LWLAB_DATA`` names no folder.
    """
    roots = search_roots()
    places = {name: find_place(known, roots) for name, known in PUBLIC_SETS.items()}
    found = {name: place and str(place) for name, place in places.items()}
    return {"digits": "scikit-learn", **found}


def _load_digits() -> Dataset:
    # Imported here: scikit-learn takes a second, which only this set has to pay.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    source = load_digits()
    images = torch.from_numpy(source.images).to(torch.float32).div_(16)[:, None]
    targets = torch.from_numpy(source.target).to(torch.int64)
    parts = stratified_split(targets.numpy(), sizes=(300, 500), seed=0)
    splits = (Split(images[part], targets[part]) for part in map(torch.from_numpy, parts))
    return Dataset("digits", *splits, tuple("0123456789"))


def _read_public(known: PublicSet, place: Path) -> Dataset:
    (images, labels), (test_images, test_labels) = known.read(place)
    train, validation = stratified_split(labels, sizes=(known.validation_size,), seed=0)
    return Dataset(
        known.name,
        _as_split(images[train], labels[train]),
        _as_split(images[validation], labels[validation]),
        _as_split(test_images, test_labels),
        known.class_names,
    )


def _as_split(images: np.ndarray, labels: np.ndarray) -> Split:
    # torch wants memory that it may write to: what was read from a file is copied, still as bytes.
    pixels = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    return Split(pixels.to(torch.float32).div_(255), torch.from_numpy(labels.astype(np.int64)))


def _download(known: PublicSet, roots: list[Path]) -> Path:
    """Download what the cache lacks of ``known`` and return its place there."""
    try:
        for file in known.downloads:
            download(file, cache_folder() / known.name)
    except ConnectionError as error:
        # The network's own traceback runs over pages and says no more than this sentence.
        raise FileNotFoundError(
            f"{known.name} must lie in one of {'; '.join(describe_search(known, roots))}; or be "
            f"downloaded, but {error}. Set {VARIABLE} to a folder that holds "
            f"{known.name}/{known.downloads[0].name}, or load it once with a network."
        ) from None
    return cache_folder() / known.places[0]

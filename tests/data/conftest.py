"""Small files in the public formats, written independently of the readers, and the real ones."""

import gzip
import hashlib
import os
import struct
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lwlab.data import catalogue, places

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def real_data():
    """The folder of the original MNIST and Fashion-MNIST files, or a skip with its reason."""
    folder = Path(os.environ.get("LWLAB_DATA") or PROJECT.parent / "shared" / "data")
    if not (folder / "mnist").is_dir() or not (folder / "fashion-mnist").is_dir():
        pytest.skip(f"no original MNIST and Fashion-MNIST files in {folder} (set LWLAB_DATA)")
    return folder


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The tests' own servers on the loopback interface are reached directly."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    """No LWLAB_DATA, no system folder, an empty cache. Returns the cache folder."""
    monkeypatch.delenv("LWLAB_DATA", raising=False)
    monkeypatch.setattr(places, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setattr(places.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "lwlab"


def idx_bytes(array, type_code=8):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, type_code, array.ndim, *array.shape)
    return header + array.tobytes()


def small_idx_arrays(train=60, test=20):
    random = np.random.RandomState(1)
    arrays = {}
    for prefix, count in (("train", train), ("t10k", test)):
        images = random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        arrays[f"{prefix}-images-idx3-ubyte"] = images
        arrays[f"{prefix}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    return arrays


@pytest.fixture
def write_small_set():
    """Write the four small files of an IDX set into a folder, gzipped or not."""

    def write(folder, gzipped=True, mtime=0):
        folder.mkdir(parents=True)
        for name, array in small_idx_arrays().items():
            content = idx_bytes(array)
            if gzipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=mtime))
            else:
                (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture
def small_mnist(monkeypatch, tmp_path, write_small_set):
    """``mnist`` with 60 + 20 examples, content pinned; its two homes serve nothing.

    Returns a function that gives it other homes; its ``public`` is the folder to serve there.
    """
    public = write_small_set(tmp_path / "public")
    sha256 = tuple(
        hashlib.sha256(idx_bytes(array)).hexdigest() for array in small_idx_arrays().values()
    )

    def register(homes=("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/")):
        downloads = [
            replace(
                file,
                homes=tuple(homes),
                sha256=hashlib.sha256((public / file.name).read_bytes()).hexdigest(),
            )
            for file in catalogue.PUBLIC_SETS["mnist"].downloads
        ]
        known = replace(
            catalogue.PUBLIC_SETS["mnist"],
            downloads=tuple(downloads),
            validation_size=10,
            read=partial(catalogue.read_idx_set, counts=(60, 20), sha256=sha256),
        )
        monkeypatch.setitem(catalogue.PUBLIC_SETS, "mnist", known)
        return public

    register()
    register.public = public
    return register
